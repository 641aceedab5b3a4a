/** Sets a timer of a minute, and ends when nothing keeps the process alive. */
import { createSystemClock } from "../../shared/resilience/clock.ts";

const keepAlive = Deno.args[0] === "keepAlive";
createSystemClock().setTimer(() => console.log("fired"), Number(Deno.args[1]), keepAlive ? { keepAlive } : undefined);
console.log("set");
