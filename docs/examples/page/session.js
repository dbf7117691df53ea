// In a page: a token from your own backend, then a session that outlives a dropped network. A page can't set headers on
// a WebSocket, so the token goes as a subprotocol; the gateway answers with `realtime` alone.
const KEPT = 1000; // events that may have to be sent again
const PAUSES = [0, 1, 2, 4, 8]; // seconds before each try to come back

// Resolves when the session is open; rejects with the reason when there is no token or the gateway refuses.
// `onEvent` gets every event, and at the end {type: "closed", code, reason}.
async function openSession(tokenUrl, { onEvent }) {
  let socket, sessionId, lastEventId;
  let sent = []; // [number, text] of the latest events
  let count = 0; // how many there were in this session

  async function connect() {
    const answer = await fetch(tokenUrl, { method: "POST" }); // the cookie of your own session goes along
    if (!answer.ok) throw new Error(`no token: ${answer.status} ${await answer.text()}`);
    const { token, url } = await answer.json();
    const address = new URL(url);
    if (sessionId) address.searchParams.set("resume", sessionId);
    if (lastEventId) address.searchParams.set("last_event_id", lastEventId);
    const opening = new WebSocket(address, ["realtime", `openai-insecure-api-key.${token}`]);
    await new Promise((opened, refused) => {
      let isOpen = false;
      opening.onmessage = ({ data }) => {
        const event = JSON.parse(data);
        if (event.type === "auth_success") {
          if (!event.resumed) [sent, count, lastEventId] = [[], 0, undefined]; // the model remembers nothing
          for (const [number, text] of sent) if (number > event.received) opening.send(text);
          [socket, sessionId, isOpen] = [opening, event.sessionId, true];
          opened();
        }
        lastEventId = event.event_id ?? lastEventId;
        onEvent(event);
      };
      opening.onclose = ({ code, reason }) => {
        if (isOpen) comeBack(code, reason);
        // A browser says 1006 for no network, and also where the gateway's ALLOWED_ORIGINS lacks this page's origin.
        else refused(new Error(`refused: ${code} ${reason}`));
      };
    });
  }

  // Passing troubles: no network, the model server's, a gateway that goes down or is full. Any other end is one.
  async function comeBack(code, reason) {
    for (const pause of [1006, 1011, 1012, 1013].includes(code) ? PAUSES : []) {
      await new Promise((over) => setTimeout(over, 1000 * pause));
      try {
        return await connect();
      } catch {
        continue;
      }
    }
    onEvent({ type: "closed", code, reason });
  }

  await connect();
  return {
    send(event) {
      const text = JSON.stringify(event);
      sent = [...sent, [++count, text]].slice(-KEPT);
      if (socket.readyState === WebSocket.OPEN) socket.send(text); // if not, it goes out when we are back
    },
    close: () => socket.close(1000),
  };
}
