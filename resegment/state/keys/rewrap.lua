-- KEYS: the keys. ARGV: name, version, the wrapped key as it was, and as it is to be.
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return 0 end
local parts = { string.sub(record, 1, 1) }
local changed = 0
for version in string.gmatch(record, ',([^,]+)') do
  if #parts == tonumber(ARGV[2]) and version == ARGV[3] then
    version = ARGV[4]
    changed = 1
  end
  parts[#parts + 1] = version
end
redis.call('HSET', KEYS[1], ARGV[1], table.concat(parts, ','))
return changed
