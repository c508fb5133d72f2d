-- KEYS: the keys. ARGV: name, version and wrapped key, again and again. Returns the record of each as it is then.
-- A version is made if the one before it is destroyed, or it is the first, and the key is not forgotten.
local found = {}
for i = 1, #ARGV, 3 do
  local record = redis.call('HGET', KEYS[1], ARGV[i]) or '.'
  local _, versions = string.gsub(record, ',', ',')
  local sealing = versions > 0 and string.sub(record, -2) ~= ',-'
  if string.sub(record, 1, 1) == '.' and not sealing and versions + 1 == tonumber(ARGV[i + 1]) then
    record = record .. ',' .. ARGV[i + 2]
    redis.call('HSET', KEYS[1], ARGV[i], record)
  end
  found[#found + 1] = record
end
return found
