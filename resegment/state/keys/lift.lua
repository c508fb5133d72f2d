-- KEYS: the keys, and the names of those that are forgotten. ARGV: names.
for i = 1, #ARGV do
  local record = redis.call('HGET', KEYS[1], ARGV[i])
  if record then
    redis.call('HSET', KEYS[1], ARGV[i], '.' .. string.sub(record, 2))
  end
  redis.call('SREM', KEYS[2], ARGV[i])
end
return 0
