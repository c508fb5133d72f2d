-- KEYS: the keys, and the names of those that are forgotten. ARGV: 1 to forget, and names. Returns how many versions were
-- destroyed.
local count = 0
for i = 2, #ARGV do
  local record = redis.call('HGET', KEYS[1], ARGV[i])
  if record or ARGV[1] == '1' then
    local flag = string.sub(record or '.', 1, 1)
    if ARGV[1] == '1' then
      flag = 'F'
      redis.call('SADD', KEYS[2], ARGV[i])
    end
    local versions = ''
    for version in string.gmatch(record or '', ',([^,]+)') do
      if version ~= '-' then count = count + 1 end
      versions = versions .. ',-'
    end
    redis.call('HSET', KEYS[1], ARGV[i], flag .. versions)
  end
end
return count
