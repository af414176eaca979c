// SPDX-License-Identifier: Apache-2.0
//
// mesos-framework driven from outside: node client.js HOST PORT LOG_DIRECTORY FRAMEWORK_INFO
// Reads a call per line, ["KILL", {...}], and answers each with {"answer": null or what was wrong, "via": "library" or
// "request"}; prints each event as {"event": {...}}. bridged.py is the other end.
//
// What the library lacks goes through its own function for any request, with the headers and the stream id that it
// keeps: it writes 0.28's messages, which know neither task groups nor operation ids, `reservations` or the type of a
// health check; it has no function for what Mesos learned later (UPDATE_FRAMEWORK,
// ACKNOWLEDGE_OPERATION_STATUS); its reconcile() takes one task or none.

"use strict";

const readline = require("readline");
const { Scheduler, Mesos } = require("mesos-framework");
const { doRequest } = require("mesos-framework/lib/helpers");
const mesos = Mesos.getMesos();

const [host, port, logs, info] = process.argv.slice(2);
const framework = JSON.parse(info);

function say(content) {
    console.log(JSON.stringify(content));
}

function forward(type) {
    return (content) => say({ event: { type: type, [type.toLowerCase()]: content } });
}

const scheduler = new Scheduler({
    masterUrl: host,
    port: port,
    frameworkName: framework.name,
    user: framework.user,
    frameworkFailoverTimeout: framework.failover_timeout,
    logging: { path: logs, fileName: "framework.log", level: "error" },
    // The library's own handlers decline what its list of tasks does not want, and acknowledge.
    handlers: { OFFERS: forward("OFFERS"), UPDATE: forward("UPDATE"), FAILURE: forward("FAILURE") },
});
// An event that the library does not know is an error to it; its list of names that may be handled is closed.
scheduler.customEventHandlers.UPDATE_OPERATION_STATUS = forward("UPDATE_OPERATION_STATUS");

let leaving = false;

// It has one listener for what goes wrong in calls and for what goes wrong in the stream; one call is made at a time.
let pending = null;

function settle(error, via) {
    const done = pending;
    pending = null;
    if (done) {
        done(error, via);
    }
}

scheduler.on("error", (error) => {
    const text = typeof error === "string" ? error : error.message;
    if (leaving) {
        // The end of the stream that follows the teardown is an error to this library.
        return;
    }
    if (pending) {
        settle(text, "library");
    } else {
        say({ event: { type: "ERROR", error: { message: text } } });
    }
});

// Whether the library's messages know all that is in it. It throws at a name that they lack; a 64-bit number it turns
// into an object that is none in JSON.
function isExpressible(accept) {
    if (JSON.stringify(accept).includes('"nanoseconds"')) {
        return false;
    }
    try {
        new mesos.scheduler.Call.Accept(accept.offer_ids, accept.operations, accept.filters);
        return true;
    } catch (error) {
        return false;
    }
}

// name -> the library's function for it, or undefined where it cannot say this.
function chooseFunction(kind, content) {
    switch (kind) {
    case "ACCEPT":
        return isExpressible(content) && (() => scheduler.accept(content.offer_ids, content.operations,
            content.filters));
    case "DECLINE":
        return () => scheduler.decline(content.offer_ids, content.filters);
    case "ACKNOWLEDGE":
        return () => scheduler.acknowledge({ status: content });
    case "KILL":
        return () => scheduler.kill(content.task_id.value, content.agent_id.value);
    case "RECONCILE":
        return content.tasks.length < 2 && (() => (content.tasks.length === 0 ? scheduler.reconcile()
            : scheduler.reconcile(content.tasks[0].task_id.value, content.tasks[0].agent_id.value)));
    case "REVIVE":
        return () => scheduler.revive();
    case "TEARDOWN":
        leaving = true;
        return () => scheduler.teardown();
    default:
        return undefined;
    }
}

function request(kind, content, done) {
    const call = { type: kind, framework_id: { value: scheduler.frameworkId }, [kind.toLowerCase()]: content };
    doRequest.call(scheduler, call, (error) => {
        // Any status but 202 is an error to the library; this call's answer is 200.
        const isDone = !error || (kind === "UPDATE_FRAMEWORK" && error.message.includes("was '200'"));
        done(isDone ? null : error.message, "request");
    });
}

function call(kind, content, done) {
    const run = chooseFunction(kind, content);
    if (!run) {
        request(kind, content, done);
        return;
    }
    pending = done;
    scheduler.once("sent_" + kind.toLowerCase(), () => settle(null, "library"));
    run();
}

// The library subscribes with a FrameworkInfo of its own, without roles and capabilities: they follow at once, and only
// then is the subscription told.
scheduler.on("subscribed", () => {
    const whole = { ...framework, id: { value: scheduler.frameworkId } };
    request("UPDATE_FRAMEWORK", { framework_info: whole }, (error) => {
        say(error ? { event: { type: "ERROR", error: { message: error } } }
            : { event: { type: "SUBSCRIBED", subscribed: { framework_id: whole.id } } });
    });
});

scheduler.on("ready", () => {
    scheduler.frameworkId = framework.id ? framework.id.value : null;
    scheduler.subscribe();
});

readline.createInterface({ input: process.stdin }).on("line", (line) => {
    const [kind, content] = JSON.parse(line);
    call(kind, content, (error, via) => {
        say({ answer: error, via: via });
        if (kind === "TEARDOWN") {
            process.exit(0); // or it subscribes again
        }
    });
}).on("close", () => process.exit(0));
