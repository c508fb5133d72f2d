-- Sets what is assigned, and the loads that it comes to. All is decided first, and written last.
-- KEYS: held, open
-- ARGV: what the name of a team's waiting set begins with; {key, team, owner} of all that is assigned, flat
local HELD, OPEN, WAITING = KEYS[1], KEYS[2], ARGV[1]
local OWNED, QUEUED, WAITS = 'o', 'q', 'w'
local wanted = cmsgpack.unpack(ARGV[2])
local fields = redis.call('HGETALL', HELD)
redis.call('HGET', OPEN, '')
local before, is_wanted, loads, set, gone, waited = {}, {}, {}, {}, {}, {}
for i = 1, #fields, 2 do before[fields[i]] = cmsgpack.unpack(fields[i + 1]) end
for i = 1, #wanted, 3 do
  local key, team, owner = wanted[i], wanted[i + 1], wanted[i + 2]
  local was = before[key]
  local kind = was and was[1] == QUEUED and was[3] == owner and QUEUED or OWNED
  is_wanted[key] = true
  if kind == OWNED then loads[owner] = (loads[owner] or 0) + 1 end
  if was and was[1] == WAITS then waited[key] = was[2] end
  if not was or was[1] ~= kind or was[2] ~= team or was[3] ~= owner then
    set[key] = cmsgpack.pack({kind, team, owner, false})
  end
end
for key, was in pairs(before) do
  if not is_wanted[key] and was[1] ~= WAITS then gone[#gone + 1] = key end
end
for key, packed in pairs(set) do redis.call('HSET', HELD, key, packed) end
for _, key in ipairs(gone) do redis.call('HDEL', HELD, key) end
for key, team in pairs(waited) do redis.call('ZREM', WAITING .. team, key) end
redis.call('DEL', OPEN)
for name, load in pairs(loads) do redis.call('HSET', OPEN, name, string.format('%.0f', load)) end
