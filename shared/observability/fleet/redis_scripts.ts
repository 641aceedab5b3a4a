/**
 * The scripts of the store in Redis. Each runs as a whole, by the clock of Redis, with the limits of the store in
 * Postgres.
 *
 * @module
 */

/** Sets `now` to the time in ms. */
const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/** The time after which Redis forgets a fleet that does not report, in ms. */
const FORGET = "86400000";

/**
 * Stores a report. Keys: reports, instants, gauges, samples, index of samples, turn, alerts. Arguments: isolate, function,
 * waiting, active, limit, longest wait, calls, errors, report. Returns the reason of a refusal or an empty text, the time,
 * and if it is this isolate's turn, the samples and the alerts.
 */
export const REPORT = NOW + `
local reports, seen, gauges, samples, index, turn, alerts = unpack(KEYS)
local isolate, name = ARGV[1], ARGV[2]
local function forget(ids)
  for _, id in ipairs(ids) do
    redis.call('HDEL', reports, id)
    redis.call('HDEL', gauges, id)
    redis.call('ZREM', seen, id)
  end
end
forget(redis.call('ZRANGEBYSCORE', seen, '-inf', '(' .. now - 30000, 'LIMIT', 0, 100))
forget(redis.call('ZRANGEBYSCORE', seen, '(' .. now + 5000, '+inf', 'LIMIT', 0, 100))
if redis.call('HEXISTS', reports, isolate) == 0 and redis.call('HLEN', reports) >= 500 then
  return {'full', now}
end
redis.call('HSET', reports, isolate, ARGV[9])
redis.call('ZADD', seen, now, isolate)
redis.call('HSET', gauges, isolate, table.concat({ARGV[3], ARGV[4], ARGV[5], name}, ' '))

local waiting, active, limit = 0, 0, 0
for _, gauge in ipairs(redis.call('HVALS', gauges)) do
  local w, a, l, of = string.match(gauge, '^(%S+) (%S+) (%S+) (.*)$')
  if of == name then
    waiting, active, limit = waiting + w, active + a, limit + l
  end
end
-- After the clock was set back, samples of minutes ago would be those of the present again, and raise an alert that was
-- cleared.
if redis.call('ZCOUNT', index, '(' .. now + 15000, '+inf') > 0 then redis.call('DEL', samples, index) end
for _, field in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', '(' .. now - 1500000, 'LIMIT', 0, 500)) do
  redis.call('HDEL', samples, field)
  redis.call('ZREM', index, field)
end
local at = string.format('%.0f', now - now % 15000)
local field = at .. ' ' .. name
local former = redis.call('HGET', samples, field)
if former or redis.call('ZCARD', index) < 10000 then
  local longest, calls, errors = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
  if former then
    local sample = cjson.decode(former)
    longest = math.max(longest, sample.acquisitionMs)
    calls, errors = calls + sample.calls, errors + sample.errors
  end
  redis.call('HSET', samples, field, cjson.encode({
    atMs = tonumber(at), ['function'] = name, waiting = waiting, active = active, limit = limit,
    acquisitionMs = longest, calls = calls, errors = errors
  }))
  redis.call('ZADD', index, at, field)
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ${FORGET}) end

local evaluated = tonumber(redis.call('GET', turn) or '0')
if evaluated > now - 15000 and evaluated <= now + 5000 then return {'', now} end
redis.call('SET', turn, string.format('%.0f', now), 'PX', ${FORGET})
local states = redis.call('HGETALL', alerts)
for n = 1, #states, 2 do
  local known, state = pcall(cjson.decode, states[n + 1])
  if not known or (not state.raised and state.sinceMs < now - ${FORGET}) then redis.call('HDEL', alerts, states[n]) end
end
return {'', now, redis.call('HVALS', samples), redis.call('HVALS', alerts)}
`;

/** Removes an isolate. Keys: reports, instants, gauges. Argument: isolate. */
export const REMOVE = `
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return 1
`;

/**
 * Reads the fleet. Keys: reports, instants, samples, alerts. Arguments: drop time in ms, `full` or `totals`. Returns the
 * time, pairs of age and report, the samples and the alerts.
 */
export const READ = NOW + `
local live = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], now - ARGV[1], now + 5000)) do
  local report = redis.call('HGET', KEYS[1], id)
  if report then
    live[#live + 1] = math.max(now - redis.call('ZSCORE', KEYS[2], id), 0)
    live[#live + 1] = report
  end
end
if ARGV[2] ~= 'full' then return {now, live} end
return {now, live, redis.call('HVALS', KEYS[3]), redis.call('HVALS', KEYS[4])}
`;

/**
 * Changes alerts. Key: alerts. Arguments: the changes, as JSON each. Returns for each the instant of the state if it was
 * applied, and 0 if the state was another one.
 */
export const CHANGE = NOW + `
local applied = {}
for n, text in ipairs(ARGV) do
  local change = cjson.decode(text)
  local field = change.rule .. ' ' .. change['function']
  local former = redis.call('HGET', KEYS[1], field)
  local state = former and cjson.decode(former)
  local since = state and state.sinceMs or 0
  local notice = state and state.noticeMs or 0
  applied[n] = 0
  if since == change.previousSinceMs and (state or redis.call('HLEN', KEYS[1]) < 500) then
    if change.notice then
      if state and (change.notice == 'sent' or notice == change.previousNoticeMs) then
        state.noticeMs = change.notice == 'sent' and 0 or now
        redis.call('HSET', KEYS[1], field, cjson.encode(state))
        applied[n] = since
      end
    else
      if not state or state.raised ~= change.raised then since, notice = math.max(now, since + 1), now end
      redis.call('HSET', KEYS[1], field, cjson.encode({
        rule = change.rule, ['function'] = change['function'], raised = change.raised, sinceMs = since,
        value = change.value, misses = change.misses, noticeMs = notice
      }))
      applied[n] = since
    end
    redis.call('PEXPIRE', KEYS[1], ${FORGET})
  end
end
return applied
`;

/**
 * Leases a share of a cap. Keys: shares, wants, expiry. Arguments: isolate, the leases it wants, those it holds, the cap,
 * the time until its share expires in ms, and the share that it has, 0 for none. 0 wanted: it returns its share, except for
 * the leases that it holds, which stay counted until the share expires. Returns its share, the number of isolates, and 1 if
 * Redis has lost the share.
 *
 * A share is counted with the leases that its holder has not ended yet, so that shares in use never exceed the cap. Of an
 * isolate that Redis does not know, all leases count.
 */
export const SHARE = NOW + `
local shares, wants, expiry = unpack(KEYS)
local isolate = ARGV[1]
local want, active, cap, lease = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local claim = tonumber(ARGV[6])
local function forget(id)
  redis.call('HDEL', shares, id)
  redis.call('HDEL', wants, id)
  redis.call('ZREM', expiry, id)
end
local function keep()
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, 4 * lease) end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', now)) do forget(id) end
-- After the clock was set back.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiry, '(' .. now + 2 * lease, '+inf')) do forget(id) end
local known = redis.call('HGET', shares, isolate)
local own = tonumber(known or math.max(claim, active))
local lost = 0
if not known and claim > 0 then
  -- What the others have is lost as well: it may be all that this isolate does not have.
  lost, want = 1, math.min(want, claim)
end
if want == 0 then
  local held = math.min(active, own)
  if held > 0 then
    redis.call('HSET', shares, isolate, string.format('%.0f', held))
    redis.call('HSET', wants, isolate, '0')
    redis.call('ZADD', expiry, now + lease, isolate)
    keep()
  else
    forget(isolate)
  end
  return {0, redis.call('ZCARD', expiry), lost}
end
redis.call('ZADD', expiry, now + lease, isolate)
local isolates = redis.call('ZCARD', expiry)
local fair = math.max(1, math.floor(cap / isolates))
local others, missing = 0, 0
local all = redis.call('HGETALL', shares)
for n = 1, #all, 2 do
  if all[n] ~= isolate then
    local share = tonumber(all[n + 1])
    local wanted = math.min(tonumber(redis.call('HGET', wants, all[n]) or '0'), fair)
    others = others + share
    if wanted > share then missing = missing + wanted - share end
  end
end
local share = math.min(want, cap - others)
if share > fair then share = math.max(fair, share - missing) end
share = math.max(share, 1)
-- What it still holds of a larger share stays counted until the leases end.
local counted = math.max(share, math.min(active, own))
redis.call('HSET', shares, isolate, string.format('%.0f', counted))
redis.call('HSET', wants, isolate, string.format('%.0f', want))
keep()
return {share, isolates, lost}
`;
