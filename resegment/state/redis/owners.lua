-- Settles requests of the router in their order, all or nothing: everything is read and decided first, and written last.
-- Only the lines and queues, which are sorted sets, are written on the way, where a repetition changes nothing.
-- KEYS: held, open, drawn, gone, turns, granted, windows, queues, ready, offered
-- ARGV: the start of the names of what is in the same slot; seconds that a released key is kept; days that a team's
--       counters are kept; draws until an absent member is forgotten; the longest that a line settles, ms; the clock, ms, or
--       '' for the server's; the packed request: groups of candidates {name, weight, capacity or false}, the requests, when each is
--       made, ms, or false; and {team, members who take accounts now, per_day or false, day} of those whose accounts are to be offered
local HELD, OPEN, DRAWN, GONE, TURNS, GRANTED, WINDOWS, QUEUES, READY, OFFERED = unpack(KEYS)
local TAG, KEPT, DAYS, FORGOTTEN, LONGEST = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local LINE, BEFORE, QUEUE, RELEASED = TAG .. ':line:', TAG .. ':waiting:', TAG .. ':queue:', TAG .. ':released:'
local NOISE = 1e-9
local OWNED, QUEUED, WAITS, ADMITTED = 'o', 'q', 'w', 'g'
local TIE = 23 -- where the account begins in the name of a place in a line
local SOON, AGAIN, MOST = 2000, 30000, 200 -- ms until what is granted is offered, and offered again; offers of a queue
local UNLIMITED = 1000000
local groups, asks, times, shifts = unpack(cmsgpack.unpack(ARGV[7]))
local now = tonumber(ARGV[6])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function numbers(key)
  return setmetatable({}, {__index = function(known, name)
    local value = tonumber(redis.call('HGET', key, name) or '0')
    known[name] = value
    return value
  end})
end

-- what is stored of each key: {kind, team, owner, released, place or false, grant or false}, where the place is a name in a
-- line, or the queue and a name in it, and the grant is {day, place, of, at, account}
local stands, touched, touched_list = {}, {}, {}
local names, places = {}, {}
for _, ask in ipairs(asks) do names[#names + 1] = ask[2] end
for _, ask in ipairs(asks) do
  if ask[1] == 'a' and ask[9] then names[#names + 1] = ask[9] end
end
if #names > 0 then
  for i, key in ipairs(names) do places[i] = RELEASED .. key end
  local held, released = redis.call('HMGET', HELD, unpack(names)), redis.call('MGET', unpack(places))
  for i, key in ipairs(names) do
    local packed = held[i] or released[i]
    if packed then stands[key] = cmsgpack.unpack(packed) end
  end
end
local function find(key)
  if stands[key] == nil then
    local packed = redis.call('HGET', HELD, key)
    stands[key] = packed and cmsgpack.unpack(packed) or false
  end
  return stands[key]
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

local windows_changed = {}
local windows = setmetatable({}, {__index = function(known, team)
  local packed = redis.call('HGET', WINDOWS, team)
  local window = packed and cmsgpack.unpack(packed) or false
  known[team] = window
  return window
end})
local function settled_at(window) return math.min(window[2] + window[3], window[1] + LONGEST) end

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

local function split(name)
  local at = name:find('\0', 1, true)
  return name:sub(1, at - 1), name:sub(at + 1)
end

-- Takes a key out of the line or queue that it is in.
local function take_out(key, was)
  if was[1] == WAITS then
    redis.call('ZREM', was[5] and LINE .. was[2] or BEFORE .. was[2], was[5] or key)
  elseif was[1] == QUEUED and was[5] then
    redis.call('ZREM', QUEUE .. was[5][1], was[5][2])
    redis.call('HDEL', OFFERED, key)
  elseif was[1] == ADMITTED then
    redis.call('ZREM', READY, was[6][5] .. '\0' .. key)
  end
end

-- Grants the best of a line that has settled, as many as the day has room for. Returns the window if it is still open.
local function grant(team, per_day, day)
  local window = windows[team]
  if window and now < settled_at(window) then return window end
  if window then windows[team], windows_changed[team] = false, true end
  local field, of = day .. ' ' .. team, redis.call('ZCARD', LINE .. team)
  local place = 0
  while granted[field] < per_day do
    local best = redis.call('ZRANGE', LINE .. team, 0, math.min(per_day - granted[field], MOST) - 1)
    if #best == 0 then return nil end
    for _, name in ipairs(best) do
      local tie, key = split(name)
      local was = find(key)
      redis.call('ZREM', LINE .. team, name)
      if was and was[1] == WAITS and was[2] == team and was[5] == name and not was[4] then
        local account = tie:sub(TIE)
        place = place + 1
        stand(key, {ADMITTED, team, '', false, false, {day, place, of, now, account}})
        granted[field] = granted[field] + 1
        granted_changed[field] = team
        redis.call('ZADD', READY, now + SOON, account .. '\0' .. key)
      end
    end
  end
  return nil
end

local function admitted(was, day)
  local given = was[6] or {day, 0, 0, now}
  return {'g', given[1], given[2], given[3], given[4]}
end

local function join(key, team, per_day, day, value, tie, settle)
  local was = find(key)
  if was and was[4] and (was[1] == WAITS or was[1] == ADMITTED) then return {'w', 0, 1, 0} end
  if was and was[1] ~= WAITS then return admitted(was, day) end
  local _ = turns[team]
  grant(team, per_day, day)
  was = find(key)
  if was and was[1] == ADMITTED then return admitted(was, day) end
  local name = tie .. '\0' .. key
  local is_new = not was or was[2] ~= team or not was[5]
  if was and (is_new or was[5] ~= name) then take_out(key, was) end
  redis.call('ZADD', LINE .. team, value, name)
  if is_new or was[5] ~= name then stand(key, {WAITS, team, '', false, name, false}) end
  if is_new and settle > 0 then
    local first = windows[team] and windows[team][1] or now
    windows[team], windows_changed[team] = {first, now, settle}, true
  end
  local window = grant(team, per_day, day)
  was = find(key)
  if was[1] == ADMITTED then return admitted(was, day) end
  local left = window and settled_at(window) - now or 0
  return {'w', redis.call('ZRANK', LINE .. team, name), redis.call('ZCARD', LINE .. team), left}
end

local function answer(record)
  if record[1] == WAITS or record[1] == ADMITTED then return {'w', 0, 1, 0} end
  return {'o', record[3], record[1] == QUEUED}
end

-- Puts a key into the queue of the members who may take it, since now or as long as it has been in another.
local function queue(key, team, eligible, account, since)
  if #eligible == 0 then return false end
  local name = team .. '\0' .. table.concat(eligible, '\0')
  redis.call('HSET', QUEUES, name, cmsgpack.pack({team, eligible}))
  redis.call('ZADD', QUEUE .. name, 'NX', since or now, account .. '\0' .. key)
  return {name, account .. '\0' .. key}
end

local release

local function assign(key, team, least_loaded, group, preferred, fallback, eligible, queued, account)
  local was = find(key)
  if was and (was[4] or was[1] == OWNED or was[1] == QUEUED) then return answer(was) end
  local _ = turns[team]
  if was then take_out(key, was) end
  local owner = choose(team, least_loaded, group, preferred)
  if queued and not owner then
    local waits = find(queued)
    if waits and waits[1] == QUEUED and not waits[4] then
      local since = waits[5] and redis.call('ZMSCORE', QUEUE .. waits[5][1], waits[5][2])[1]
      take_out(queued, waits)
      local place = queue(queued, team, eligible, account, since or nil)
      stand(queued, {QUEUED, waits[2], waits[3], false, place, waits[6] or false})
    end
    return false
  end
  if queued then release(queued) end
  if owner then
    open[owner], drawn[owner] = open[owner] + 1, drawn[owner] + 1
    loads_changed[owner], drawn_changed[owner] = true, true
  end
  local record = {owner and OWNED or QUEUED, team, owner or fallback, false, false, was and was[6] or false}
  if not owner then record[5] = queue(key, team, eligible, account) end
  stand(key, record)
  return answer(record)
end

release = function(key)
  local was = find(key)
  if not was or was[4] then return end
  take_out(key, was)
  if was[1] == OWNED then
    open[was[3]] = math.max(open[was[3]] - 1, 0)
    loads_changed[was[3]] = true
  elseif was[1] == ADMITTED then
    local field = was[6][1] .. ' ' .. was[2]
    if granted[field] > 0 then granted[field], granted_changed[field] = granted[field] - 1, was[2] end
  end
  stand(key, {was[1], was[2], was[3], true, false, was[6] or false})
end

-- Returns {account, key} of those in queues that somebody on shift has room for: over all queues, the longest in one first.
local function find_takers(on_shift)
  local taken, queued = {}, {}
  local listed = redis.call('HGETALL', QUEUES)
  for i = 1, #listed, 2 do
    local name = listed[i]
    local team, eligible = unpack(cmsgpack.unpack(listed[i + 1]))
    local may, takers = {}, {}
    for _, one in ipairs(eligible) do may[one] = true end
    for _, one in ipairs(on_shift[team] or {}) do
      if may[one[1]] and not gone[one[1]] then
        local room = one[2] and one[2] - open[one[1]] or UNLIMITED
        if room > 0 then takers[#takers + 1] = {one[1], room} end
      end
    end
    if redis.call('ZCARD', QUEUE .. name) == 0 then
      redis.call('HDEL', QUEUES, name)
    elseif #takers > 0 then
      local first = redis.call('ZRANGE', QUEUE .. name, 0, MOST - 1, 'WITHSCORES')
      for j = 1, #first, 2 do queued[#queued + 1] = {tonumber(first[j + 1]), first[j], name, takers} end
    end
  end
  table.sort(queued, function(one, other)
    if one[1] ~= other[1] then return one[1] < other[1] end
    return one[2] < other[2]
  end)
  local found = {}
  for _, one in ipairs(queued) do
    local best, most = nil, 0
    for _, taker in ipairs(one[4]) do
      local left = taker[2] - (taken[taker[1]] or 0)
      if left > most then best, most = taker[1], left end
    end
    if best then
      local account, key = split(one[2])
      local was = find(key)
      if was and was[1] == QUEUED and not was[4] then
        taken[best] = (taken[best] or 0) + 1
        found[#found + 1] = {account, key}
      else
        redis.call('ZREM', QUEUE .. one[3], one[2])
      end
    end
  end
  return found
end

-- Returns the accounts that may be taken from queues now: {account, key}.
local function offer()
  local offers, on_shift = {}, {}
  for _, shift in ipairs(shifts) do
    local team, members, per_day, day = unpack(shift)
    on_shift[team] = members
    if per_day and redis.call('ZCARD', LINE .. team) > 0 then grant(team, per_day, day) end
  end
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', READY, '-inf', now, 'LIMIT', 0, MOST)) do
    local account, key = split(name)
    local was = find(key)
    if was and was[1] == ADMITTED and not was[4] then
      redis.call('ZADD', READY, now + AGAIN, name)
      offers[#offers + 1] = {account, key}
    else
      redis.call('ZREM', READY, name)
    end
  end
  for _, one in ipairs(find_takers(on_shift)) do
    local account, key = unpack(one)
    local at = redis.call('HGET', OFFERED, key)
    if not at or tonumber(at) + AGAIN <= now then
      redis.call('HSET', OFFERED, key, string.format('%.0f', now))
      offers[#offers + 1] = {account, key}
    end
  end
  return offers
end

local answers = {}
for i, ask in ipairs(asks) do
  local kind = ask[1]
  if times then now = times[i] end
  if kind == 'j' then
    answers[i] = join(unpack(ask, 2, 8))
  elseif kind == 'a' then
    answers[i] = assign(unpack(ask, 2, 10))
  else
    release(ask[2])
    answers[i] = false
  end
end
if shifts then answers = offer() end

local packed_answers = cmsgpack.pack(answers)
local packed_turns, packed_keys = {}, {}
for team, turn in pairs(turns) do packed_turns[team] = cmsgpack.pack(turn) end
for team in pairs(windows_changed) do windows_changed[team] = windows[team] and cmsgpack.pack(windows[team]) or '' end
for _, key in ipairs(touched_list) do packed_keys[key] = cmsgpack.pack(stands[key]) end
for _, key in ipairs(touched_list) do
  if stands[key][4] then
    redis.call('SET', RELEASED .. key, packed_keys[key], 'EX', KEPT)
    redis.call('HDEL', HELD, key)
  else
    redis.call('HSET', HELD, key, packed_keys[key])
  end
end
for team, packed in pairs(windows_changed) do
  if packed == '' then redis.call('HDEL', WINDOWS, team) else redis.call('HSET', WINDOWS, team, packed) end
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
