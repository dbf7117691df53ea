from voxgate_engine.faults import Fault


def test_a_fault_carries_the_fields_of_an_error_event() -> None:
    fault = Fault("invalid_value", "No.", param="audio", event_id="mine")
    assert (fault.kind, fault.code, fault.param, fault.event_id) == (
        "invalid_request_error",
        "invalid_value",
        "audio",
        "mine",
    )
    assert str(fault) == "invalid_value: No."
