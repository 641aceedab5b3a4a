/**
 * Scripts that run in Redis as one step.
 *
 * @module
 */

/** Takes a lock, and reads the value. Keys: lock, value. Arguments: token, ms. Returns 1 or 0, and the value. */
export const ACQUIRE = `local held = redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2], "NX")
local value = redis.pcall("GET", KEYS[2])
if type(value) == "table" then value = false end
return { held and 1 or 0, value }`;

/** Extends a lock. Key: lock. Arguments: token, ms. */
export const RENEW = `if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("PEXPIRE", KEYS[1], ARGV[2]) end
return 0`;

/** Gives up a lock. Key: lock. Argument: token. */
export const RELEASE = `if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end
return 0`;

/**
 * Stores a value if the lock is held, and gives it up: the token fences off a holder that was stopped for longer than
 * its lock lasts. Keys: lock, value. Arguments: token, text, ms.
 */
export const STORE = `if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
redis.call("SET", KEYS[2], ARGV[2], "PX", ARGV[3])
redis.call("DEL", KEYS[1])
return 1`;

/**
 * Adds to a whole number in the format of the cache, and keeps its expiry. Key: value. Arguments: number to add, ms until
 * a new one expires (0: never), the instant of that, now. A value that is not fresh counts as none. Returns the sum as text: Lua's numbers are exact up to 2^53.
 */
export const INCREMENT = `local text = redis.call("GET", KEYS[1])
local fresh = text and string.match(text, "^%[1,(%d+),")
if fresh and tonumber(fresh) <= tonumber(ARGV[4]) then text = false end
local head, number = "[1," .. ARGV[3] .. "," .. ARGV[3] .. "," .. ARGV[3] .. ",0,", "0"
if text then
  head, number = string.match(text, "^(%[1,%d+,%d+,%d+,0,)(-?%d+)%]$")
  if not head then return redis.error_reply("ERR not a counter") end
end
local sum = tonumber(number) + tonumber(ARGV[1])
if sum > 9007199254740991 or sum < -9007199254740991 then return redis.error_reply("ERR not a counter") end
local digits = string.format("%.0f", sum)
local value = head .. digits .. "]"
if text then redis.call("SET", KEYS[1], value, "KEEPTTL")
elseif ARGV[2] == "0" then redis.call("SET", KEYS[1], value)
else redis.call("SET", KEYS[1], value, "PX", ARGV[2]) end
return digits`;
