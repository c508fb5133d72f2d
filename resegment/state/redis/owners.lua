-- Settles requests of the router in their order, all or nothing: everything is read and decided first, and written last.
-- Only the sets of waiting keys are written on the way, where a repetition changes nothing.
-- KEYS: held, open, drawn, gone, turns, granted
-- ARGV: the start of the names of waiting sets, and of released keys (both are in the same slot); seconds that a released
--       key is kept; days that a team's counters are kept; draws until an absent member is forgotten; the packed request:
--       groups of candidates {name, weight, capacity or false}, and the requests
local HELD, OPEN, DRAWN, GONE, TURNS, GRANTED = unpack(KEYS)
local WAITING, RELEASED, KEPT, DAYS, FORGOTTEN = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local NOISE = 1e-9
local OWNED, QUEUED, WAITS = 'o', 'q', 'w'
local groups, asks = unpack(cmsgpack.unpack(ARGV[6]))

local function numbers(key)
  return setmetatable({}, {__index = function(known, name)
    local value = tonumber(redis.call('HGET', key, name) or '0')
    known[name] = value
    return value
  end})
end

-- what is stored of each key: {kind, team, owner, released}
local names, places = {}, {}
for i, ask in ipairs(asks) do names[i], places[i] = ask[1], RELEASED .. ask[1] end
local held, released = redis.call('HMGET', HELD, unpack(names)), redis.call('MGET', unpack(places))
local stands, touched, touched_list = {}, {}, {}
for i, key in ipairs(names) do
  local packed = held[i] or released[i]
  if packed then stands[key] = cmsgpack.unpack(packed) end
end

local gone = {}
for _, name in ipairs(redis.call('SMEMBERS', GONE)) do gone[name] = true end
local open, drawn, granted = numbers(OPEN), numbers(DRAWN), numbers(GRANTED)
local loads_changed, drawn_changed, granted_changed = {}, {}, {}
local turns = setmetatable({}, {__index = function(known, team)
  local packed = redis.call('HGET', TURNS, team)
  local turn = packed and cmsgpack.unpack(packed) or {0, {}}
  known[team] = turn
  return turn
end})

local function stand(key, record)
  stands[key] = record
  if not touched[key] then
    touched[key] = true
    touched_list[#touched_list + 1] = key
  end
end

-- Does the same as weighted_round_robin.py.
local function draw(team, room)
  local turn = turns[team]
  local dues, total, excess = turn[2], 0, -1
  turn[1] = turn[1] + 1
  for _, one in ipairs(room) do total = total + one[2] end
  for _, one in ipairs(room) do
    local due = dues[one[1]] or {0, 0}
    due[1], due[2] = due[1] + one[2] / total, turn[1]
    dues[one[1]] = due
  end
  for name, due in pairs(dues) do
    if turn[1] - due[2] > FORGOTTEN then
      dues[name] = nil
      for _, one in ipairs(room) do dues[one[1]][1] = dues[one[1]][1] + due[1] * one[2] / total end
    end
  end
  for _, one in ipairs(room) do excess = excess + dues[one[1]][1] end
  local least = #room > 1 and 1 / (2 * #room - 2) or 1
  local best, best_class, best_value = room[1][1], 3, 0
  for _, one in ipairs(room) do
    local due = dues[one[1]][1] - excess * one[2] / total
    local class, value = 2, -due
    if due > 1 - least + NOISE then
      class = 0
    elseif due >= least - NOISE then
      class, value = 1, (1 - least - due) * total / one[2]
    end
    if class < best_class or (class == best_class and value < best_value - NOISE) then
      best, best_class, best_value = one[1], class, value
    end
  end
  dues[best][1] = dues[best][1] - 1
  return best
end

local function choose(team, least_loaded, group, preferred)
  local room, has_room = {}, {}
  for _, one in ipairs(groups[group]) do
    if not gone[one[1]] and (not one[3] or open[one[1]] < one[3]) then
      room[#room + 1] = one
      has_room[one[1]] = true
    end
  end
  for _, name in ipairs(preferred) do
    if has_room[name] then return name end
  end
  if #room == 0 then return nil end
  if not least_loaded then return draw(team, room) end
  local best = room[1]
  for i = 2, #room do
    if open[room[i][1]] * best[2] < open[best[1]] * room[i][2] then best = room[i] end
  end
  return best[1]
end

local function answer(record)
  if record[1] == WAITS then return {0} end
  return {record[3], record[1] == QUEUED}
end

local function assign(key, team, least_loaded, group, preferred, fallback, throttle)
  local was = stands[key]
  if was and (was[4] or was[1] ~= WAITS) then return answer(was) end
  local _ = turns[team]
  if was and (was[2] ~= team or not throttle) then redis.call('ZREM', WAITING .. was[2], key) end
  if throttle then
    local per_day, field = throttle[1], throttle[2] .. ' ' .. team
    redis.call('ZADD', WAITING .. team, throttle[3], key)
    local ahead = redis.call('ZRANK', WAITING .. team, key)
    if granted[field] + ahead >= per_day then
      stand(key, {WAITS, team, '', false})
      return {ahead}
    end
    redis.call('ZREM', WAITING .. team, key)
    granted[field] = granted[field] + 1
    granted_changed[field] = team
  end
  local owner = choose(team, least_loaded, group, preferred)
  if owner then
    open[owner], drawn[owner] = open[owner] + 1, drawn[owner] + 1
    loads_changed[owner], drawn_changed[owner] = true, true
  end
  local record = {owner and OWNED or QUEUED, team, owner or fallback, false}
  stand(key, record)
  return answer(record)
end

local function release(key)
  local was = stands[key]
  if not was or was[4] then return end
  if was[1] == WAITS then
    redis.call('ZREM', WAITING .. was[2], key)
  elseif was[1] == OWNED then
    open[was[3]] = math.max(open[was[3]] - 1, 0)
    loads_changed[was[3]] = true
  end
  stand(key, {was[1], was[2], was[3], true})
end

local answers = {}
for i, ask in ipairs(asks) do
  if ask[2] then
    answers[i] = assign(unpack(ask))
  else
    release(ask[1])
    answers[i] = false
  end
end

local packed_answers = cmsgpack.pack(answers)
local packed_turns, packed_keys = {}, {}
for team, turn in pairs(turns) do packed_turns[team] = cmsgpack.pack(turn) end
for _, key in ipairs(touched_list) do packed_keys[key] = cmsgpack.pack(stands[key]) end
for _, key in ipairs(touched_list) do
  if stands[key][4] then
    redis.call('SET', RELEASED .. key, packed_keys[key], 'EX', KEPT)
    redis.call('HDEL', HELD, key)
  else
    redis.call('HSET', HELD, key, packed_keys[key])
  end
end
for name in pairs(loads_changed) do redis.call('HSET', OPEN, name, string.format('%.0f', open[name])) end
for name in pairs(drawn_changed) do redis.call('HSET', DRAWN, name, string.format('%.0f', drawn[name])) end
for team, packed in pairs(packed_turns) do redis.call('HSET', TURNS, team, packed) end
local fields = {}
for field in pairs(granted_changed) do fields[#fields + 1] = field end
table.sort(fields)
for _, field in ipairs(fields) do
  local team = granted_changed[field]
  local is_new_day = redis.call('HSET', GRANTED, field, string.format('%.0f', granted[field])) == 1
  if is_new_day then
    local days, all = {}, redis.call('HGETALL', GRANTED)
    for i = 1, #all, 2 do
      local other = all[i]
      if other ~= field and other:sub(12) == team then days[#days + 1] = other end
    end
    table.sort(days)
    for i = 1, #days + 1 - DAYS do redis.call('HDEL', GRANTED, days[i]) end
  end
end
return packed_answers
