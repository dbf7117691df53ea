// In a page: a token from your own backend, then a session. A page can't set headers on a WebSocket, so the token goes as
// a subprotocol; the gateway answers with `realtime` alone.
async function openSession(tokenUrl, { onEvent }) {
  const answer = await fetch(tokenUrl, { method: "POST" });
  if (!answer.ok) throw new Error(`no token: ${answer.status}`);
  const { token, url } = await answer.json();
  const socket = new WebSocket(url, ["realtime", `openai-insecure-api-key.${token}`]);
  socket.onmessage = (message) => onEvent(JSON.parse(message.data));
  socket.onclose = (closed) => {
    // 1011, 1012, 1013: come back with a new token. 4001 and 4003: only with a new token. 4008: do not.
    onEvent({ type: "closed", code: closed.code, reason: closed.reason });
  };
  return { send: (event) => socket.send(JSON.stringify(event)), close: () => socket.close(1000) };
}
