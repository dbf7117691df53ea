import ast
import shlex
import socket
import subprocess

from voxgate_gates.reproduce import MAX_MESSAGES, HttpRequest, SocketRequest, raw_command, rerun_command


def test_a_request_becomes_a_curl_command_with_live_placeholders() -> None:
    request = HttpRequest("POST", "http://h/x?a=1&b", {"Authorization": "Bearer $VOXGATE_KEY"}, '{"sub": "it\'s"}')
    command = request.command()
    assert '"Authorization: Bearer $VOXGATE_KEY"' in command
    words = shlex.split(command)
    assert words[:5] == ["curl", "-sS", "-i", "-X", "POST"]
    assert words[-1] == '{"sub": "it\'s"}'
    assert request.text().splitlines()[0] == "POST http://h/x?a=1&b"


def test_head_is_asked_the_way_curl_wants() -> None:
    assert shlex.split(HttpRequest("HEAD", "http://h/", {}).command())[3] == "-I"


def test_a_huge_body_is_made_by_the_command_instead_of_printed() -> None:
    command = HttpRequest("POST", "http://h/", {}, " " * 5000).command()
    assert len(command) < 200
    feed = command.partition(" | curl")[0]
    made = subprocess.run(["sh", "-c", feed], capture_output=True, check=True, timeout=20)
    assert made.stdout == b" " * 5000


def test_a_long_body_is_described_in_the_text() -> None:
    assert "(5000 characters)" in HttpRequest("POST", "http://h/", {}, "ab" * 2500).text()


def test_a_socket_becomes_a_python_line_that_compiles_and_reads_the_environment() -> None:
    request = SocketRequest(
        "ws://h/realtime",
        {"Authorization": "Bearer $TOKEN"},
        "https://a.test",
        ["realtime", "openai-insecure-api-key.$TOKEN"],
        ['{"type":"auth","token":"$TOKEN"}', b"\x00'"],
    )
    command = request.command()
    assert command is not None
    program, flag, script = shlex.split(command)
    assert (program, flag) == ("python3", "-c")
    ast.parse(script)
    assert 'e("Bearer $TOKEN")' in script
    assert "subprotocols=[" in script
    assert "sent: 2 bytes" in request.text()
    assert "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.$TOKEN" in request.text()


def test_a_long_conversation_has_no_line_of_its_own() -> None:
    request = SocketRequest("ws://h/", {}, messages=["{}"] * (MAX_MESSAGES + 2))
    assert request.command() is None
    assert "and 2 messages more" in request.text()
    assert SocketRequest("ws://h/", {}, messages=[None]).command() is None
    assert "too long to show" in SocketRequest("ws://h/", {}, messages=[None]).text()


def test_raw_bytes_survive_the_shell() -> None:
    data = bytes(range(256))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = raw_command(data, *listener.getsockname())
        with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE) as sender:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as received:
                assert received.read(len(data)) == data
                connection.sendall(b"thanks")
            assert sender.communicate(timeout=20)[0] == b"b'thanks'\n"


def test_raw_bytes_for_a_tls_port_go_through_tls() -> None:
    command = raw_command(b"x", "voice.example.com", 443, is_tls=True)
    ast.parse(shlex.split(command)[2])
    assert 'server_hostname="voice.example.com"' in command


def test_a_check_is_run_again_by_its_id() -> None:
    assert rerun_command("security.x", "http://h") == "voxgate gates --target http://h --only security.x"
