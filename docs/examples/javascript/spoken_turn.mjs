// One spoken turn with OpenAI's own client. Only the base URL and the key are voxgate's.
// Needs `npm install openai ws`:
// VOXGATE=https://voice.example.com KEY=vk_… node spoken_turn.mjs question.wav    (24 kHz, mono, 16 bit)
import { readFileSync } from "node:fs";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

const baseURL = `${process.env.VOXGATE}/v1`;
const model = "gpt-realtime-2.1";
const fail = (error) => {
  console.error(error.message);
  process.exit(1);
};

// On your backend: the key stays here, and what goes to whoever speaks is a secret that lives for minutes.
const backend = new OpenAI({ apiKey: process.env.KEY, baseURL });
const wanted = { session: { type: "realtime", model } };
const { value: secret } = await backend.realtime.clientSecrets.create(wanted).catch(fail);

// Wherever the session is: the client asks for wss, so there has to be TLS in front, on your own machine too.
const session = new OpenAIRealtimeWS({ model }, new OpenAI({ apiKey: secret, baseURL }));
const audio = readFileSync(process.argv[2]).subarray(44); // behind the header of a plain WAV file
const heard = [];
let said = "";

session.on("session.created", () => {
  // Push-to-talk: we say where the speech ends, and ask for the answer.
  session.send({ type: "session.update", session: { type: "realtime", audio: { input: { turn_detection: null } } } });
  for (let start = 0; start < audio.length; start += 4800) {
    // a tenth of a second each
    session.send({ type: "input_audio_buffer.append", audio: audio.subarray(start, start + 4800).toString("base64") });
  }
  session.send({ type: "input_audio_buffer.commit" });
  session.send({ type: "response.create" });
});
session.on("response.output_audio.delta", (event) => heard.push(Buffer.from(event.delta, "base64")));
session.on("response.output_audio_transcript.delta", (event) => (said += event.delta));
session.on("error", fail);
session.on("response.done", () => {
  console.log(said);
  console.log(`${(Buffer.concat(heard).length / 48000).toFixed(1)} s of speech`);
  session.close();
});
