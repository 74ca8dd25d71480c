// An officer's client: matrix-js-sdk with Rust crypto, told what to do by JSON lines on standard input.
//
// A request is {"id": 1, "command": "send", ...arguments}; its answer is {"id": 1, "result": ...} or
// {"id": 1, "error": "..."}, one line each on standard output. Requests run side by side, so a `wait` does not
// hold up a `send`. Everything that the SDK says goes to standard error. tests/e2e/js_officer.py speaks to this.

import { createInterface } from "node:readline";

import * as sdk from "matrix-js-sdk";
import {
    AllDevicesIsolationMode,
    CryptoEvent,
    OnlySignedDevicesIsolationMode,
    VerificationPhase,
    VerificationRequestEvent,
} from "matrix-js-sdk/lib/crypto-api/index.js";
import { logger } from "matrix-js-sdk/lib/logger.js";

const QUIET = { trace() {}, debug() {}, info() {}, warn: console.error, error: console.error };
const LOG = { ...QUIET, getChild: () => LOG };
for (const level of ["trace", "debug", "info", "log", "warn"]) console[level] = console.error;
logger.setLevel?.("error", false);

const NEWS = ["sync", "Room.timeline", "Room.myMembership", "Event.decrypted", "Event.replaced"];

/** The signed-in client, between `login` and `logout_device`. */
let client = null;
let password = null;
/** Whether sent messages leave out what the specification has deprecated. */
let spare = false;
/** The verification under way, what it shows, and whether it has ended well. */
let request = null;
let shownSas = null;
let verified = null;
/** Called, and forgotten, at each change of what the client knows. */
let watchers = [];

const commands = {
    /** Sign in as a new device; back once the first sync is done. */
    async login({ homeserver, user, password: secret, mode = "all-devices" }) {
        const answer = await sdk.createClient({ baseUrl: homeserver, logger: LOG }).loginRequest({
            type: "m.login.password",
            identifier: { type: "m.id.user", user },
            password: secret,
        });
        password = secret;
        client = sdk.createClient({
            baseUrl: homeserver,
            userId: answer.user_id,
            deviceId: answer.device_id,
            accessToken: answer.access_token,
            logger: LOG,
            fetchFn: (url, options) => fetch(url, spare ? sparing(url, options) : options),
        });
        await client.initRustCrypto({ useIndexedDB: false });
        isolate(mode);
        for (const event of NEWS) client.on(event, wake);
        client.on(CryptoEvent.VerificationRequestReceived, watch);
        await client.startClient({ initialSyncLimit: 100 });
        await until(() => client.isInitialSyncComplete());
        // Another device of this account may have made the identity: then there is nothing here to sign with.
        if (!(await client.getCrypto().userHasCrossSigningKeys(answer.user_id, true))) {
            await client.getCrypto().bootstrapCrossSigning({ authUploadDeviceSigningKeys: authorise });
        }
        return { user_id: answer.user_id, device_id: answer.device_id };
    },

    async create_room({ encrypted = true, direct = false, invite = [], name }) {
        const rule = { algorithm: "m.megolm.v1.aes-sha2" };
        const encryption = { type: "m.room.encryption", state_key: "", content: rule };
        const { room_id: room } = await client.createRoom({
            name,
            invite,
            is_direct: direct,
            preset: "private_chat",
            initial_state: encrypted ? [encryption] : [],
        });
        await until(() => client.getRoom(room)?.getMyMembership() === "join");
        return room;
    },

    async join({ room }) {
        await client.joinRoom(room);
        await until(() => client.getRoom(room)?.getMyMembership() === "join");
        return room;
    },

    /** The room that this user invites to, now or when it comes. */
    async invited_by({ user }) {
        const invite = (room) => room.getMyMembership() === "invite" && room.getDMInviter() === user;
        return (await until(() => client.getRooms().find(invite))).roomId;
    },

    async leave({ room }) {
        await client.leave(room);
        return room;
    },

    async send({ room, body, reply_to, content = {} }) {
        const relation = reply_to ? { "m.relates_to": { "m.in_reply_to": { event_id: reply_to } } } : {};
        return (await client.sendMessage(room, { msgtype: "m.text", body, ...relation, ...content })).event_id;
    },

    async edit({ room, event, body }) {
        const fresh = { msgtype: "m.text", body };
        const relation = { rel_type: "m.replace", event_id: event };
        const content = { ...fresh, body: `* ${body}`, "m.new_content": fresh, "m.relates_to": relation };
        return (await client.sendMessage(room, content)).event_id;
    },

    async react({ room, event, key }) {
        const relation = { rel_type: "m.annotation", event_id: event, key };
        return (await client.sendEvent(room, "m.reaction", { "m.relates_to": relation })).event_id;
    },

    async redact({ room, event }) {
        return (await client.redactEvent(room, event)).event_id;
    },

    /** The messages that fit, as soon as there is one; `after` is the id of an event, `timeout` is in seconds. */
    async wait({ room, after, contains, reply_to, sender, timeout = 20 }) {
        const find = () => {
            const events = timeline(room);
            const from = after ? events.findIndex((event) => event.getId() === after) + 1 : 0;
            if (after && !from) return null;
            const found = events.slice(from).filter((event) => fits(event, { contains, reply_to, sender }));
            return found.length ? found : null;
        };
        return Promise.all((await until(find, timeout)).map(shown));
    },

    /** Everything in the room that this client knows of, state events too. */
    async messages({ room }) {
        return Promise.all(timeline(room).map(shown));
    },

    /** How this client sees a user's devices: id, and whether the user's own identity has signed it. */
    async devices({ user }) {
        const known = (await client.getCrypto().getUserDeviceInfo([user], true)).get(user) ?? new Map();
        return [...known.values()].map((device) => ({
            device_id: device.deviceId,
            signed: Boolean(device.signatures.get(user)?.size > 1),
        }));
    },

    /** Sign another device of this account, as one does after comparing the two. */
    async sign_device({ device }) {
        await client.getCrypto().getUserDeviceInfo([client.getUserId()], true);
        await client.getCrypto().crossSignDevice(device);
        return device;
    },

    /** Make a new identity in place of the one that others know. */
    async reset_identity() {
        await client.getCrypto().bootstrapCrossSigning({
            setupNewCrossSigning: true,
            authUploadDeviceSigningKeys: authorise,
        });
        return null;
    },

    /** Leave out `sender_key` and `device_id` of what is sent from now on, or leave them in again. */
    async spare({ on }) {
        spare = on;
        return null;
    },

    /** Press Verify on a user: in a room, or on one of the user's devices. */
    async begin_verification({ user, room, device }) {
        const crypto = client.getCrypto();
        await crypto.getUserDeviceInfo([user], true);
        watch(room ? await crypto.requestVerificationDM(user, room) : await crypto.requestDeviceVerification(user, device));
        await until(() => request.phase !== VerificationPhase.Requested && request.phase !== VerificationPhase.Unsent);
        if (request.phase === VerificationPhase.Ready) compare(await request.startVerification("m.sas.v1"));
        return ended() ?? seen();
    },

    /** Accept the verification that another one asks for. */
    async accept_verification() {
        await until(() => request?.phase === VerificationPhase.Requested && !request.initiatedByMe);
        await request.accept();
        await until(() => request.verifier ?? ended());
        if (request.verifier) compare(request.verifier);
        return ended() ?? seen();
    },

    /** Say of the emoji that they are the same, or not. */
    async compare_verification({ same }) {
        if (same) void shownSas.confirm();
        else shownSas.mismatch();
        return null;
    },

    /** Wait until it is over: "done", or the code with which it was cancelled. */
    async end_verification() {
        await until(() => (request.phase === VerificationPhase.Done && verified) || ended());
        return ended() ?? "done";
    },

    /** Whether this client knows the user's identity by comparing. */
    async knows({ user }) {
        return (await client.getCrypto().getUserVerificationStatus(user)).isCrossSigningVerified();
    },

    async isolation({ mode }) {
        isolate(mode);
        return mode;
    },

    /** Sign this device out for good; `login` then makes a new one. */
    async logout_device() {
        await client.logout(true);
        client = null;
        return null;
    },
};

function isolate(mode) {
    const crypto = client.getCrypto();
    crypto.globalBlacklistUnverifiedDevices = mode === "only-verified-users";
    if (mode === "only-signed-devices") crypto.setDeviceIsolationMode(new OnlySignedDevicesIsolationMode());
    else if (mode === "all-devices" || mode === "only-verified-users") {
        crypto.setDeviceIsolationMode(new AllDevicesIsolationMode(false));
    } else throw new Error(`mode is one of all-devices, only-signed-devices, only-verified-users, not ${mode}`);
}

function watch(made) {
    request = made;
    [shownSas, verified] = [null, null];
    request.on(VerificationRequestEvent.Change, wake);
    wake();
}

/** Go through with it up to the emoji; they appear in `shownSas`. */
function compare(verifier) {
    verifier.on("show_sas", (sas) => {
        shownSas = sas;
        wake();
    });
    verifier.verify().then(
        () => {
            verified = true;
            wake();
        },
        (error) => console.error(error),
    );
}

/** The code with which the verification was cancelled; null if it was not. */
function ended() {
    return request.phase === VerificationPhase.Cancelled ? request.cancellationCode : null;
}

/** The emoji that are shown, with their names. */
async function seen() {
    await until(() => shownSas ?? ended());
    return shownSas ? shownSas.sas.emoji.map((each) => each.join(" ")).join(" · ") : ended();
}

function sparing(url, options) {
    if (!String(url).includes("/send/m.room.encrypted/")) return options;
    const { sender_key, device_id, ...rest } = JSON.parse(options.body);
    return { ...options, body: JSON.stringify(rest) };
}

async function authorise(upload) {
    try {
        return await upload(null);
    } catch (error) {
        const session = error.data?.session;
        if (!session) throw error;
        const identifier = { type: "m.id.user", user: client.getUserId() };
        return upload({ type: "m.login.password", identifier, password, session });
    }
}

function wake() {
    const called = watchers;
    watchers = [];
    for (const resolve of called) resolve();
}

/** The first true value of `find`, asked again whenever the client learns something; rejects after `timeout`. */
async function until(find, timeout = 30) {
    const deadline = Date.now() + timeout * 1000;
    for (;;) {
        const value = find();
        if (value) return value;
        const left = deadline - Date.now();
        if (left <= 0) throw new Error(`nothing came within ${timeout} s`);
        await new Promise((resolve) => {
            const timer = setTimeout(resolve, left);
            watchers.push(() => {
                clearTimeout(timer);
                resolve();
            });
        });
    }
}

function timeline(room) {
    return client.getRoom(room)?.getLiveTimeline().getEvents() ?? [];
}

/** Only what can be read counts; what cannot is for `messages` to show. An edit shows in what it replaces. */
function fits(event, { contains, reply_to, sender }) {
    const content = event.getContent();
    return (
        event.getType() === "m.room.message" &&
        !event.isDecryptionFailure() &&
        !event.isSending() &&
        event.getWireContent()["m.relates_to"]?.rel_type !== "m.replace" &&
        (!sender || event.getSender() === sender) &&
        (!contains || `${content.body}\n${content.formatted_body ?? ""}`.includes(contains)) &&
        (!reply_to || event.getWireContent()["m.relates_to"]?.["m.in_reply_to"]?.event_id === reply_to)
    );
}

async function shown(event) {
    const seal = event.isEncrypted() ? await client.getCrypto().getEncryptionInfoForEvent(event) : null;
    return {
        event_id: event.getId(),
        sender: event.getSender(),
        type: event.getType(),
        content: event.getContent(),
        relates_to: event.getWireContent()["m.relates_to"] ?? null,
        encrypted: event.isEncrypted(),
        edited: Boolean(event.replacingEvent()),
        redacted: event.isRedacted(),
        failure: event.isDecryptionFailure() ? event.decryptionFailureReason : null,
        shield_colour: seal?.shieldColour ?? null,
        shield_reason: seal?.shieldReason ?? null,
    };
}

function say(line) {
    process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function answer({ id, command, ...args }) {
    try {
        if (!Object.hasOwn(commands, command)) throw new Error(`no such command: ${command}`);
        if (!client && command !== "login") throw new Error("log in first");
        say({ id, result: await commands[command](args) });
    } catch (error) {
        say({ id, error: `${command}: ${error.message ?? error}` });
    }
}

for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    if (request.command === "close") break;
    void answer(request);
}
client?.stopClient();
process.exit(0);
