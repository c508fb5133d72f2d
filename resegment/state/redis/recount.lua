-- Sets what is assigned, the loads that follow from it, and what waits. Everything is decided first, and written last.
-- KEYS: held, open, turns
-- ARGV: the start of the names in the same slot; {key, team, owner} of each assignment, flat, and the keys that wait
local HELD, OPEN, TURNS, TAG = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local OWNED, QUEUED, WAITS, ADMITTED = 'o', 'q', 'w', 'g'
local wanted, waiting = unpack(cmsgpack.unpack(ARGV[2]))
local fields, turns = redis.call('HGETALL', HELD), redis.call('HGETALL', TURNS)
redis.call('HGET', OPEN, '')
local before, waits, loads, set, gone, teams, left = {}, {}, {}, {}, {}, {}, {}
for i = 1, #turns, 2 do teams[turns[i]] = true end
for i = 1, #fields, 2 do
  local was = cmsgpack.unpack(fields[i + 1])
  before[fields[i]] = was
  teams[was[2]] = true
end
for _, key in ipairs(waiting) do
  local was = before[key]
  if was and (was[1] == WAITS or was[1] == ADMITTED) then waits[key] = was end
end
local is_open = {}
for i = 1, #wanted, 3 do
  local key, team, owner = wanted[i], wanted[i + 1], wanted[i + 2]
  local was = before[key]
  local kind = was and was[1] == QUEUED and was[3] == owner and QUEUED or OWNED
  is_open[key], waits[key] = true, nil
  if kind == OWNED then loads[owner] = (loads[owner] or 0) + 1 end
  if not was or was[1] ~= kind or was[2] ~= team or was[3] ~= owner then
    set[key] = cmsgpack.pack({kind, team, owner, false, false, was and was[6] or false})
  end
end
for key in pairs(before) do
  if not is_open[key] and not waits[key] then gone[#gone + 1] = key end
end
for team in pairs(teams) do
  for _, start in ipairs({':line:', ':waiting:'}) do
    for _, name in ipairs(redis.call('ZRANGE', TAG .. start .. team, 0, -1)) do
      local at = name:find('\0', 1, true)
      local was = waits[at and name:sub(at + 1) or name]
      if not was or was[1] ~= WAITS or was[2] ~= team or (was[5] or name) ~= name then
        left[#left + 1] = {TAG .. start .. team, name}
      end
    end
  end
end
for key, packed in pairs(set) do redis.call('HSET', HELD, key, packed) end
for _, key in ipairs(gone) do redis.call('HDEL', HELD, key) end
for _, place in ipairs(left) do redis.call('ZREM', place[1], place[2]) end
redis.call('DEL', OPEN)
for name, load in pairs(loads) do redis.call('HSET', OPEN, name, string.format('%.0f', load)) end
