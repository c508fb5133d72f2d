-- Sets what is assigned, the loads that follow from it, and what waits. Everything is decided first, and written last.
-- KEYS: held, open, turns, queues
-- ARGV: the start of the names in the same slot; {key, team, owner} of each assignment, flat, the keys that wait, and
--       {key, account, at, the members who may take it} of those in a queue
local HELD, OPEN, TURNS, QUEUES, TAG = KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1]
local OWNED, QUEUED, WAITS, ADMITTED = 'o', 'q', 'w', 'g'
local wanted, waiting, listed = unpack(cmsgpack.unpack(ARGV[2]))
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
local is_open, queued, queues = {}, {}, {}
for _, one in ipairs(listed) do queued[one[1]] = one end
for i = 1, #wanted, 3 do
  local key, team, owner = wanted[i], wanted[i + 1], wanted[i + 2]
  local was = before[key]
  local kind = (queued[key] or was and was[1] == QUEUED and was[3] == owner) and QUEUED or OWNED
  local place = false
  if queued[key] and #queued[key][4] > 0 then
    local _, account, at, eligible = unpack(queued[key])
    place = {team .. '\0' .. table.concat(eligible, '\0'), account .. '\0' .. key}
    queues[place[1]] = cmsgpack.pack({team, eligible})
    left[#left + 1] = {'ZADD', TAG .. ':queue:' .. place[1], at, place[2]}
  end
  is_open[key], waits[key] = true, nil
  if kind == OWNED then loads[owner] = (loads[owner] or 0) + 1 end
  if place or not was or was[1] ~= kind or was[2] ~= team or was[3] ~= owner then
    set[key] = cmsgpack.pack({kind, team, owner, false, place, was and was[6] or false})
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
        left[#left + 1] = {'ZREM', TAG .. start .. team, name}
      end
    end
  end
end
for key, packed in pairs(set) do redis.call('HSET', HELD, key, packed) end
for _, key in ipairs(gone) do redis.call('HDEL', HELD, key) end
for name, packed in pairs(queues) do redis.call('HSET', QUEUES, name, packed) end
for _, place in ipairs(left) do redis.call(unpack(place)) end
redis.call('DEL', OPEN)
for name, load in pairs(loads) do redis.call('HSET', OPEN, name, string.format('%.0f', load)) end
