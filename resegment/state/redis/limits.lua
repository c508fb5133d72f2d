-- Count one request against limits, or say how long to wait. ARGV: for each limit its name, burst, and seconds between two requests.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local wait = 0
local longest = 0
for i = 1, #ARGV, 3 do
  local burst, gap = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local due = math.max(tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0'), now)
  wait = math.max(wait, due - (burst - 1) * gap - now)
end
if wait > 0 then
  return string.format('%.6f', wait)
end
for i = 1, #ARGV, 3 do
  local burst, gap = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local due = math.max(tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0'), now) + gap
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.6f', due))
  longest = math.max(longest, due - now)
end
redis.call('PEXPIRE', KEYS[1], math.ceil(longest * 1000) + 1000)
return '0'
