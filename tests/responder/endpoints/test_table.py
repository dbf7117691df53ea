from jsonschema import Draft202012Validator

from voxgate_responder.endpoints.table import ENDPOINTS, VERSION, load_shared

PATHS = {
    "/api/health.php",
    "/api/donna_logic.php",
    "/api/marketing.php",
    "/api/conversations.php",
    "/api/voice-chat.php",
    "/api/sales/overview.php",
    "/api/chatbot_settings.php",
}


def test_the_seven_are_there() -> None:
    assert {endpoint.path for endpoint in ENDPOINTS.values()} == PATHS
    assert VERSION


def test_every_schema_is_a_schema_and_stands_alone() -> None:
    for endpoint in ENDPOINTS.values():
        for schema in (endpoint.schema, endpoint.schema["$defs"]["success"], endpoint.schema["$defs"]["problem"]):
            Draft202012Validator.check_schema(schema)
            assert "urn:" not in str(schema).replace(f"urn:voxgate:schema:endpoint-{endpoint.name}", "").replace(
                "^urn:voxgate:error:", ""
            ).replace("urn:voxgate:trace:", "")


def test_every_member_that_can_be_refused_says_what_it_must_be() -> None:
    for endpoint in ENDPOINTS.values():
        for rules in endpoint.methods.values():
            for schema in rules.values():
                Draft202012Validator.check_schema(schema)
                assert all(rule["description"].startswith("must be ") for rule in schema["properties"].values())


def test_only_voice_chat_takes_events_and_only_health_is_for_anybody() -> None:
    assert [name for name, endpoint in ENDPOINTS.items() if endpoint.takes_events] == ["voice-chat"]
    assert [name for name, endpoint in ENDPOINTS.items() if not endpoint.guarded] == ["health"]


def test_shared_data_is_a_copy_for_each_caller() -> None:
    load_shared("marketing").clear()
    assert load_shared("marketing")["fixture"] is True
