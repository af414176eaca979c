// SPDX-License-Identifier: Apache-2.0
//
// A framework on mesos-framework: node framework.js HOST PORT LOG_DIRECTORY
// Runs one command task and prints each event as a line of JSON; takes itself down when the task ended.

"use strict";

const { Scheduler, Mesos } = require("mesos-framework");
const mesos = Mesos.getMesos();

const [host, port, logs] = process.argv.slice(2);
const scheduler = new Scheduler({
    masterUrl: host,
    port: port,
    frameworkName: "node-framework",
    logging: { path: logs, fileName: "framework.log", level: "error" },
    restartStates: [],
    tasks: {
        greeter: {
            instances: 2,
            commandInfo: new mesos.CommandInfo(null, null, true, "echo from node on $HOST", null, null),
            resources: { cpus: 0.2, mem: 32, ports: 1, disk: 0 },
        },
    },
});

let ended = 0;
let leaving = false;

function say(event, content) {
    console.log(JSON.stringify([event, content]));
}

scheduler.on("subscribed", (content) => say("subscribed", content));
scheduler.on("offers", (content) => say("offers", content.offers.length));
scheduler.on("heartbeat", () => say("heartbeat", null));
// The end of the stream that follows the teardown is an error to this library.
scheduler.on("error", (error) => leaving || say("error", error.message));
scheduler.on("update", (content) => {
    say("update", content.status);
    if (["TASK_FINISHED", "TASK_FAILED", "TASK_ERROR"].includes(content.status.state) && ++ended === 2) {
        setTimeout(() => {
            leaving = true;
            scheduler.teardown();
            setTimeout(() => process.exit(0), 300);
        }, 300);
    }
});
scheduler.on("ready", () => scheduler.subscribe());
