-- Writes one batch of one partition, all or nothing: whatever can fail is checked before the first write. `kept` records
-- how much the other keys hold after the commit. If they hold another amount before the next one, something else emptied them.
-- KEYS: meta, accounts, deadlines, outbox, sizes, chunks, ledgers
-- ARGV: fence, commit, offset, timestamp, digest, log, clock, due_limit, changes, outbox ('' for none),
--       number of states, of appended logs, of deadlines set, of deadlines removed, of sizes, side offset and its mark,
--       what is kept of definitions, number of ledgers appended to, and of those replaced, then these flat
--
-- A log that grows past SPLIT bytes moves to a field of `chunks` of its own, which no append touches. The account's
-- field then begins with MOVED, how many chunks and how many items in them, and the length and text of what their
-- names have in common: after the account's name and a zero byte comes that text, a point and a number from 0.
-- A ledger is a LOG in one piece. One of more than MOST items or LARGEST bytes is named in the answer.
local LOG, MOVED, SPLIT, MOST, LARGEST = 221, 193, 2048, 2000, 400000
local byte, char, floor, sub = string.byte, string.char, math.floor, string.sub
local meta = redis.call('HMGET', KEYS[1], 'fence', 'commit', 'outbox_id', 'kept')
local fence, number = ARGV[1], tonumber(ARGV[2])
if meta[1] ~= fence then return {'FENCED'} end
local function kept(commit)
  return table.concat({commit, redis.call('HLEN', KEYS[2]), redis.call('ZCARD', KEYS[3]),
    redis.call('EXISTS', KEYS[4]), redis.call('HLEN', KEYS[5]), redis.call('HLEN', KEYS[6]),
    redis.call('HLEN', KEYS[7])}, ' ')
end
local function is_lost()
  if not meta[4] or meta[4]:match('^%d+') ~= meta[2] then return false end
  local there = kept(meta[2])
  -- earlier versions had no ledgers, or no chunks either
  return meta[4] ~= there and meta[4] .. ' 0' ~= there and meta[4] .. ' 0 0' ~= there
end

local function packed(first, n)
  return char(first, floor(n / 16777216) % 256, floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
end
local function unpacked(text, at)
  local a, b, c, d = byte(text, at, at + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end
local function parts(value)
  if byte(value, 1) ~= MOVED then return nil, value end
  local stop = 10 + byte(value, 10)
  return {unpacked(value, 2), unpacked(value, 6), sub(value, 11, stop)}, sub(value, stop + 1)
end
local function chunk(name, moved, number)
  return name .. '\0' .. moved[3] .. '.' .. string.format('%.0f', number)
end

local from = 20
local function each(command, key, args, first, last)
  while first <= last do
    local to = math.min(first + 3999, last)
    redis.call(command, key, unpack(args, first, to))
    first = to + 1
  end
end
local function given(count, width)
  local first = from
  from = from + count * width
  return first, from - 1
end

-- What to write of accounts: fields of both hashes, and chunks that are gone.
local fields, filled, chunks, gone = {}, 0, {}, {}
local function put(name, moved, log)
  if #log > SPLIT and byte(log, 1) == LOG then
    moved = moved or {0, 0, ARGV[2]}
    chunks[#chunks + 1] = chunk(name, moved, moved[1])
    chunks[#chunks + 1] = sub(log, 6)
    moved[1], moved[2] = moved[1] + 1, moved[2] + unpacked(log, 2)
    log = packed(LOG, 0)
  end
  if moved then
    log = packed(MOVED, moved[1]) .. sub(packed(0, moved[2]), 2) .. char(#moved[3]) .. moved[3] .. log
  end
  fields[filled + 1], fields[filled + 2] = name, log
  filled = filled + 2
end
local function stored(use, first, last)
  while first <= last do
    local to, names = math.min(first + 3999, last), {}
    for i = first, to, 2 do names[#names + 1] = ARGV[i] end
    local values = redis.call('HMGET', KEYS[2], unpack(names))
    for i, name in ipairs(names) do
      if not use(name, values[i], ARGV[first + 2 * i - 1]) then return false end
    end
    first = to + 1
  end
  return true
end
local function replace(name, value, log)
  local moved = value and parts(value)
  if moved then
    for i = 0, moved[1] - 1 do gone[#gone + 1] = chunk(name, moved, i) end
  end
  put(name, nil, log)
  return true
end
local function append(name, value, more)
  if not value then return false end
  local moved, log = parts(value)
  if byte(log, 1) ~= LOG then return false end
  put(name, moved, packed(LOG, unpacked(log, 2) + unpacked(more, 2)) .. sub(log, 6) .. sub(more, 6))
  return true
end

local crowded = {}
local function note(first, last)
  while first <= last do
    local to, names, noted = math.min(first + 3999, last), {}, {}
    for i = first, to, 2 do names[#names + 1] = ARGV[i] end
    local values = redis.call('HMGET', KEYS[7], unpack(names))
    for i, name in ipairs(names) do
      local log, value = ARGV[first + 2 * i - 1], values[i]
      if value then log = packed(LOG, unpacked(value, 2) + unpacked(log, 2)) .. sub(value, 6) .. sub(log, 6) end
      if unpacked(log, 2) > MOST or #log > LARGEST then crowded[#crowded + 1] = name end
      noted[2 * i - 1], noted[2 * i] = name, log
    end
    redis.call('HSET', KEYS[7], unpack(noted))
    first = to + 1
  end
end

local last = tonumber(meta[2] or '0')
local outbox_id = ''
if last == number then
  outbox_id = meta[3] or ''
elseif last ~= number - 1 or is_lost() then
  return {'ROLLED BACK'}
else
  local first, last = given(tonumber(ARGV[11]), 2)
  if redis.call('HLEN', KEYS[6]) > 0 then
    stored(replace, first, last)
  else
    for i = first, last, 2 do put(ARGV[i], nil, ARGV[i + 1]) end
  end
  if not stored(append, given(tonumber(ARGV[12]), 2)) then return {'ROLLED BACK'} end
  each('HSET', KEYS[2], fields, 1, filled)
  each('HDEL', KEYS[6], gone, 1, #gone)
  each('HSET', KEYS[6], chunks, 1, #chunks)
  each('ZADD', KEYS[3], ARGV, given(tonumber(ARGV[13]), 2))
  each('ZREM', KEYS[3], ARGV, given(tonumber(ARGV[14]), 1))
  for _ = 1, tonumber(ARGV[15]) do
    redis.call('HINCRBY', KEYS[5], ARGV[from], ARGV[from + 1])
    from = from + 2
  end
  note(given(tonumber(ARGV[18]), 2))
  each('HSET', KEYS[7], ARGV, given(tonumber(ARGV[19]), 2))
  if ARGV[10] ~= '' then
    outbox_id = redis.call('XADD', KEYS[4], '*', 'p', ARGV[10], 'n', ARGV[9])
  end
  local side, side_mark = ARGV[16]:match('^(%d+) ?(.*)$')
  redis.call('HSET', KEYS[1], 'commit', ARGV[2], 'offset', ARGV[3], 'timestamp', ARGV[4], 'digest', ARGV[5],
    'log', ARGV[6], 'clock', ARGV[7], 'outbox_id', outbox_id, 'side', side, 'side_mark', side_mark, 'definition', ARGV[17],
    'kept', kept(ARGV[2]))
end
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
local due = {}
local limit = tonumber(ARGV[8])
if limit > 0 and first[2] and tonumber(first[2]) <= tonumber(ARGV[7]) then
  due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[7], 'LIMIT', 0, limit)
end
return {'OK', outbox_id, first[2] or '', due, crowded}
