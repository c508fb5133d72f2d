-- KEYS: the secret. ARGV: the new one, and the one that it replaces ('' for none). Returns the one that is kept.
local kept = redis.call('GET', KEYS[1])
if (kept or '') == ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[1])
  return ARGV[1]
end
return kept or ''
