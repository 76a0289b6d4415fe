// The official TypeScript client against a running server: only the base URL is ours.

import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";

import { Vapi, VapiClient, VapiError } from "@vapi-ai/server-sdk";
import WebSocket from "ws";

const url = process.env.OFFHOOK_URL;
const key = process.env.OFFHOOK_KEY;

// Longest wait for anything in a call, in milliseconds.
const LIMIT_MS = 20_000;

// One frame of 20 ms of silence, 16-bit at 16 kHz.
const FRAME = Buffer.alloc(640);

const client = (token = key) => new VapiClient({ baseUrl: url, token });

// The error that a promise must be rejected with.
async function refused(status, promise) {
  const error = await promise.then(
    () => assert.fail(`expected an error ${status}`),
    (error) => error,
  );
  assert.ok(error instanceof VapiError, String(error));
  assert.equal(error.statusCode, status);
  return error;
}

const newAssistant = (vapi, fields = {}) =>
  vapi.assistants.create({ name: "SDK", firstMessage: "Hello from the other side.", ...fields });

const checks = {
  async "an assistant is created, read, changed, listed and deleted"() {
    const vapi = client();
    const created = await newAssistant(vapi, {
      model: {
        provider: "openai",
        model: "gpt-4o",
        messages: [{ role: "system", content: "Be kind." }],
      },
      voice: { provider: "11labs", voiceId: "sarah" },
      metadata: { tenant: "a" },
    });
    assert.deepEqual(await vapi.assistants.get({ id: created.id }), created);
    const changed = await vapi.assistants.update({ id: created.id, name: "renamed" });
    assert.equal(changed.name, "renamed");
    assert.deepEqual(changed.model, created.model);
    const listed = await vapi.assistants.list({ limit: 10, createdAtGe: created.createdAt });
    assert.deepEqual(listed.map((one) => one.id), [created.id]);
    assert.equal((await vapi.assistants.delete({ id: created.id })).id, created.id);
    await refused(404, vapi.assistants.get({ id: created.id }));
  },

  async "a tool is created, read, changed, listed and deleted"() {
    const vapi = client();
    const created = await vapi.tools.create({
      type: "function",
      function: { name: "weather", parameters: { type: "object", properties: {} } },
      server: { url: "https://example.com/tools" },
    });
    assert.equal(created.type, "function");
    assert.deepEqual(await vapi.tools.get({ id: created.id }), created);
    const body = { type: "function", async: true };
    const changed = await vapi.tools.update({ id: created.id, body });
    assert.equal(changed.async, true);
    assert.deepEqual(changed.function, created.function);
    const listed = await vapi.tools.list({ limit: 10 });
    assert.deepEqual(listed.map((one) => one.id), [created.id]);
    assert.equal((await vapi.tools.delete({ id: created.id })).id, created.id);
    await refused(404, vapi.tools.get({ id: created.id }));
  },

  async "a phone number is created, read, changed, listed and deleted"() {
    const vapi = client();
    const created = await vapi.phoneNumbers.create({
      provider: "twilio",
      number: "+14155550100",
      twilioAccountSid: "AC1",
      twilioAuthToken: "hush",
    });
    // No carrier can be told of a server without a public address.
    assert.equal(created.status, "activating");
    assert.ok(!JSON.stringify(created).includes("hush"));
    assert.deepEqual(await vapi.phoneNumbers.get({ id: created.id }), created);
    const body = { provider: "twilio", name: "Night" };
    const changed = await vapi.phoneNumbers.update({ id: created.id, body });
    assert.equal(changed.name, "Night");
    const listed = await vapi.phoneNumbers.list({ limit: 10 });
    assert.deepEqual(listed.map((one) => one.id), [created.id]);
    assert.equal((await vapi.phoneNumbers.delete({ id: created.id })).id, created.id);
    await refused(404, vapi.phoneNumbers.get({ id: created.id }));
  },

  async "credentials of an assistant come back without their secrets"() {
    const vapi = client();
    const credentials = [{ provider: "deepgram", name: "main", apiKey: "hush" }];
    const created = await newAssistant(vapi, { credentials });
    const read = await vapi.assistants.get({ id: created.id });
    assert.deepEqual(read.credentials, [{ provider: "deepgram", name: "main" }]);
    assert.deepEqual(read, created);
    await vapi.assistants.delete({ id: created.id });
  },

  async "a websocket call is held and read back"() {
    const vapi = client();
    const assistant = await newAssistant(vapi);
    const call = await vapi.calls.create({
      assistantId: assistant.id,
      transport: {
        provider: "vapi.websocket",
        audioFormat: { format: "pcm_s16le", container: "raw", sampleRate: 16_000 },
      },
    });
    assert.equal(call.status, "queued");
    const { heard, events, code, reason } = await hold(call.transport.websocketCallUrl);
    assert.ok(heard.some((byte) => byte !== 0), "nothing but silence was heard");
    assert.ok(events.some((event) => event.type === "status-update"));
    assert.deepEqual([code, reason], [1000, "customer-ended-call"]);

    const ended = await untilEnded(vapi, call.id);
    assert.equal(ended.endedReason, "customer-ended-call");
    assert.match(ended.artifact.transcript, /^AI: Hello/);
    const listed = await vapi.calls.list({ assistantId: assistant.id });
    assert.deepEqual(listed.map((one) => one.id), [call.id]);
    assert.equal((await vapi.calls.delete({ id: call.id })).id, call.id);
    await refused(404, vapi.calls.get({ id: call.id }));
    await vapi.assistants.delete({ id: assistant.id });
  },

  async "a refused document is an error with every path"() {
    const error = await refused(400, client().assistants.create({ name: "x".repeat(41) }));
    assert.deepEqual(error.body, {
      message: ["name must be shorter than or equal to 40 characters"],
      error: "Bad Request",
      statusCode: 400,
    });
    const call = await refused(400, client().calls.create({ assistantId: "nobody" }));
    assert.ok(call instanceof Vapi.BadRequestError, String(call));
  },

  async "a wrong key is unauthorized"() {
    const error = await refused(401, client("wrong").assistants.list());
    assert.equal(error.body.error, "Unauthorized");
  },
};

// Listens until the assistant has spoken, then hangs up.
async function hold(socketUrl) {
  const socket = new WebSocket(socketUrl);
  const heard = [];
  const events = [];
  socket.on("message", (data, isBinary) => {
    if (isBinary) {
      heard.push(data);
      return;
    }
    const event = JSON.parse(data);
    events.push(event);
    const spoke = event.type === "speech-update" && event.role === "assistant";
    if (spoke && event.status === "stopped") {
      socket.send(JSON.stringify({ type: "hangup" }));
    }
  });
  const signal = AbortSignal.timeout(LIMIT_MS);
  await once(socket, "open", { signal });
  const talking = setInterval(() => {
    if (socket.readyState === WebSocket.OPEN) {
      socket.send(FRAME);
    }
  }, 20);
  try {
    const [code, reason] = await once(socket, "close", { signal });
    return { heard: Buffer.concat(heard), events, code, reason: reason.toString() };
  } finally {
    clearInterval(talking);
    socket.terminate();
  }
}

async function untilEnded(vapi, id) {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const call = await vapi.calls.get({ id });
    if (call.status === "ended") {
      return call;
    }
    assert.ok(Date.now() < deadline, "the call does not end");
    await pause(50);
  }
}

let failed = 0;
for (const [name, run] of Object.entries(checks)) {
  try {
    await run();
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.error(error);
    console.log(`FAIL  ${name}`);
  }
}
process.exit(failed ? 1 : 0);
