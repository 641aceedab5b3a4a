import { assertEquals, assertRejects } from "@std/assert";
import { ConnectTimeoutError } from "../../shared/postgres/mod.ts";
import { ConnectThrottle, type Login } from "../../shared/postgres/connection/connect_throttle.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

interface Attempt {
  readonly succeed: () => void;
  readonly fail: (code: string) => void;
}

const never = new AbortController().signal;

function setUp() {
  const clock = new FakeClock();
  const throttle = new ConnectThrottle(clock, () => 0);
  const attempts: Attempt[] = [];
  const outcomes: string[] = [];
  const pass = (name: string) => {
    const connect = () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const fail = (code: string) => reject(Object.assign(new Error(code), { code }));
      attempts.push({ succeed: resolve, fail });
      return promise;
    };
    return throttle.connect(connect, never).then(
      () => outcomes.push(`${name} ok`),
      (error) => outcomes.push(`${name} ${error.code}`),
    );
  };
  return { clock, throttle, attempts, outcomes, pass };
}

Deno.test("ConnectThrottle.connect() runs the first attempt alone, and all attempts after a success", async () => {
  const { attempts, outcomes, pass } = setUp();
  for (const name of ["first", "a", "b"]) void pass(name);
  await settle();
  assertEquals(attempts.length, 1);
  attempts[0]?.succeed();
  await settle();
  assertEquals([attempts.length, outcomes], [3, ["first ok"]]);
  void pass("c");
  assertEquals(attempts.length, 4);
  for (const { succeed } of attempts) succeed();
  await settle();
  assertEquals(outcomes.length, 4);
});

Deno.test("ConnectThrottle.connect() tries a wrong password once for all callers", async () => {
  const { attempts, outcomes, pass } = setUp();
  const all = Promise.all(Array.from({ length: 20 }, (_, index) => pass(`${index}`)));
  await settle();
  attempts[0]?.fail("28P01");
  await all;
  assertEquals([attempts.length, outcomes.filter((outcome) => outcome.endsWith(" 28P01")).length], [1, 20]);
});

Deno.test("ConnectThrottle.connect() runs one attempt at a time after a failure, and shares its failure", async () => {
  const { attempts, outcomes, pass } = setUp();
  const first = pass("first");
  attempts[0]?.fail("ECONNREFUSED");
  await first;
  const all = Promise.all(["a", "b", "c"].map(pass));
  await settle();
  assertEquals(attempts.length, 2);
  attempts[1]?.fail("57P03");
  await all;
  assertEquals(outcomes.toSorted(), ["a 57P03", "b 57P03", "c 57P03", "first ECONNREFUSED"]);
  assertEquals(attempts.length, 2);
});

Deno.test("ConnectThrottle.connect() runs all attempts once one succeeds", async () => {
  const { attempts, outcomes, pass } = setUp();
  const first = pass("first");
  attempts[0]?.fail("53300");
  await first;
  void pass("probe");
  void pass("a");
  void pass("b");
  await settle();
  assertEquals(attempts.length, 2);
  attempts[1]?.succeed();
  await settle();
  assertEquals(attempts.length, 4);
  for (const { succeed } of attempts) succeed();
  await settle();
  assertEquals(outcomes.toSorted(), ["a ok", "b ok", "first 53300", "probe ok"]);
});

Deno.test("ConnectThrottle.connect() starts another attempt beside one that hangs", async () => {
  const { clock, attempts, outcomes, pass } = setUp();
  const first = pass("first");
  attempts[0]?.fail("ECONNREFUSED");
  await first;
  for (const name of ["hangs", "a", "b"]) void pass(name);
  await clock.advance(299);
  assertEquals(attempts.length, 2);
  await clock.advance(1);
  assertEquals(attempts.length, 3);
  await clock.advance(299);
  assertEquals(attempts.length, 3);
  attempts[2]?.succeed();
  await settle();
  assertEquals(attempts.length, 4);
  attempts[3]?.succeed();
  await settle();
  assertEquals(outcomes.slice(1).toSorted(), ["a ok", "b ok"]);
  // What hung fails at last: one at a time again, and no timer is left.
  attempts[1]?.fail("ETIMEDOUT");
  await settle();
  assertEquals([outcomes.at(-1), clock.timers], ["hangs ETIMEDOUT", 0]);
});

Deno.test("ConnectThrottle.connect() backs off longer after each wrong password", async () => {
  const { clock, throttle, attempts, outcomes, pass } = setUp();
  for (const pauseMs of [1_000, 2_000, 4_000]) {
    const asked = attempts.length;
    const trying = pass("try");
    await settle();
    attempts[asked]?.fail("28P01");
    await trying;
    await clock.advance(pauseMs - 1);
    await assertRejects(() => throttle.connect(() => Promise.reject(new Error("asked")), never), Error, "28P01");
    assertEquals(attempts.length, asked + 1);
    await clock.advance(1);
  }
  const fixed = pass("fixed");
  await settle();
  attempts.at(-1)?.succeed();
  await fixed;
  assertEquals(outcomes.at(-1), "fixed ok");
  // The backoff begins again.
  const wrong = pass("wrong");
  attempts.at(-1)?.fail("28P01");
  await wrong;
  await clock.advance(1_000);
  void pass("next");
  await settle();
  attempts.at(-1)?.succeed();
  await settle();
  assertEquals(outcomes.at(-1), "next ok");
});

Deno.test("ConnectThrottle.connect() retries credentials that were accepted before, whatever number of logins got no response", async () => {
  for (const accepted of [false, true]) {
    const clock = new FakeClock();
    const throttle = new ConnectThrottle(clock, () => 0);
    if (accepted) await throttle.connect(() => Promise.resolve(), never);
    for (let time = 0; time < 5; time++) {
      const silent = async ({ passwordAsked }: Login) => {
        await Promise.resolve();
        passwordAsked();
        return Promise.reject(new ConnectTimeoutError("h", 5432, 300, true));
      };
      await assertRejects(() => throttle.connect(silent, never), ConnectTimeoutError);
    }
    const back = () => throttle.connect(() => Promise.resolve("connected"), never);
    if (!accepted) {
      // They may have been wrong passwords, and the server bans an address after ten.
      await assertRejects(back, ConnectTimeoutError);
      await clock.advance(60_000);
    }
    assertEquals(await back(), "connected");
  }
});

Deno.test("ConnectThrottle.connect() counts logins without a response again after its credentials were refused", async () => {
  const clock = new FakeClock();
  const throttle = new ConnectThrottle(clock, () => 0);
  await throttle.connect(() => Promise.resolve(), never);
  const refuse = () => Promise.reject(Object.assign(new Error("refused"), { code: "28P01" }));
  await assertRejects(() => throttle.connect(refuse, never), Error, "refused");
  await clock.advance(1_000);
  for (let time = 0; time < 4; time++) {
    const given = new AbortController();
    const aborted = async ({ passwordAsked }: Login) => {
      await Promise.resolve();
      passwordAsked();
      given.abort(new Error("aborted"));
      return Promise.reject(given.signal.reason);
    };
    await assertRejects(() => throttle.connect(aborted, given.signal), Error, "aborted");
  }
  assertEquals(throttle.budget.isExhausted, true);
});
