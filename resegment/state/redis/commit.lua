-- Writes one batch of one partition, all or nothing: whatever can fail is checked before the first write. `kept` records
-- how much the other keys hold after the commit. If they hold another amount before the next one, something else emptied them.
-- KEYS: meta, accounts, deadlines, outbox, sizes
-- ARGV: fence, commit, offset, timestamp, digest, log, clock, due_limit, changes, outbox ('' for none),
--       number of states, number of deadlines set, of deadlines removed, of sizes, side offset and its mark,
--       what is kept of definitions, then these flat
local meta = redis.call('HMGET', KEYS[1], 'fence', 'commit', 'outbox_id', 'kept')
local fence, number = ARGV[1], tonumber(ARGV[2])
if meta[1] ~= fence then return {'FENCED'} end
local function kept(commit)
  return table.concat({commit, redis.call('HLEN', KEYS[2]), redis.call('ZCARD', KEYS[3]),
    redis.call('EXISTS', KEYS[4]), redis.call('HLEN', KEYS[5])}, ' ')
end
local last = tonumber(meta[2] or '0')
local outbox_id = ''
if last == number then
  outbox_id = meta[3] or ''
elseif last ~= number - 1 or (meta[4] and meta[4]:match('^%d+') == meta[2] and meta[4] ~= kept(meta[2])) then
  return {'ROLLED BACK'}
else
  local from = 17
  local function each(key, command, count, width)
    local stop = from + count * width
    while from < stop do
      local to = math.min(from + 4000, stop) - 1
      redis.call(command, key, unpack(ARGV, from, to))
      from = to + 1
    end
  end
  each(KEYS[2], 'HSET', tonumber(ARGV[11]), 2)
  each(KEYS[3], 'ZADD', tonumber(ARGV[12]), 2)
  each(KEYS[3], 'ZREM', tonumber(ARGV[13]), 1)
  for _ = 1, tonumber(ARGV[14]) do
    redis.call('HINCRBY', KEYS[5], ARGV[from], ARGV[from + 1])
    from = from + 2
  end
  if ARGV[10] ~= '' then
    outbox_id = redis.call('XADD', KEYS[4], '*', 'p', ARGV[10], 'n', ARGV[9])
  end
  local side, side_mark = ARGV[15]:match('^(%d+) ?(.*)$')
  redis.call('HSET', KEYS[1], 'commit', ARGV[2], 'offset', ARGV[3], 'timestamp', ARGV[4], 'digest', ARGV[5],
    'log', ARGV[6], 'clock', ARGV[7], 'outbox_id', outbox_id, 'side', side, 'side_mark', side_mark, 'definition', ARGV[16],
    'kept', kept(ARGV[2]))
end
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
local due, states = {}, {}
local limit = tonumber(ARGV[8])
if limit > 0 and first[2] and tonumber(first[2]) <= tonumber(ARGV[7]) then
  due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[7], 'LIMIT', 0, limit)
  states = redis.call('HMGET', KEYS[2], unpack(due))
end
return {'OK', outbox_id, first[2] or '', due, states}
