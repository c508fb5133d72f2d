-- KEYS: the keys, and the names of those that are forgotten. ARGV: name and record, again and again. What is there stays.
for i = 1, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) == 1 and string.sub(ARGV[i + 1], 1, 1) == 'F' then
    redis.call('SADD', KEYS[2], ARGV[i])
  end
end
return 0
