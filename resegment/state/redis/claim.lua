-- Takes a partition. The new fence is greater than the last one, and than any fence of a state that was rolled back:
-- the server's clock does not go back with its state. Returns the fence, and the names of the keys whose content is gone.
-- KEYS: meta, accounts, deadlines, outbox, sizes, chunks, ledgers
local meta = redis.call('HMGET', KEYS[1], 'fence', 'commit', 'kept')
local now = redis.call('TIME')
local fence = string.format('%.0f', math.max(tonumber(meta[1] or '0') + 1, now[1] * 1000000 + now[2]))
local there = {redis.call('HLEN', KEYS[2]), redis.call('ZCARD', KEYS[3]), redis.call('EXISTS', KEYS[4]),
  redis.call('HLEN', KEYS[5]), redis.call('HLEN', KEYS[6]), redis.call('HLEN', KEYS[7])}
local names, missing = {'accounts', 'deadlines', 'outbox', 'sizes', 'chunks', 'ledgers'}, {}
if not meta[2] then
  for i = 1, #names do
    if there[i] > 0 then missing = {'meta'} end
  end
elseif meta[3] then
  -- a version of the project that keeps no such record may have committed since, or one that has no chunks or ledgers
  local kept = {}
  for number in meta[3]:gmatch('%d+') do kept[#kept + 1] = tonumber(number) end
  for i = 1, #names do
    if kept[1] == tonumber(meta[2]) and (kept[i + 1] or 0) ~= there[i] then missing[#missing + 1] = names[i] end
  end
end
redis.call('HSET', KEYS[1], 'fence', fence)
return {fence, missing}
