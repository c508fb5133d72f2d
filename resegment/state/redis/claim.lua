-- A fence that is greater than the last one, and greater than one that a lost or later state of the server gave out:
-- the clock goes on where the state is rolled back.
-- KEYS: meta
local now = redis.call('TIME')
local last = tonumber(redis.call('HGET', KEYS[1], 'fence') or '0')
local fence = string.format('%.0f', math.max(last + 1, now[1] * 1000000 + now[2]))
redis.call('HSET', KEYS[1], 'fence', fence)
return fence
