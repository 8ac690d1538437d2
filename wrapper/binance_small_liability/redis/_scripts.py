"""The scripts that Redis runs, each as one atomic step. Each may run twice.

They hold the rule of `Budget` in `_call/pacing.py`. The requests of a budget are a sorted set: a
random name for each, scored by the time at which it stops occupying its weight. The count is a hash
with the fields of `Budget`. Moments are milliseconds of Redis's clock.
"""

from binance_small_liability._call.pacing import LATE, MINUTE, SOON

_NOW = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local minute, late, soon = {MINUTE * 1000:.0f}, {LATE * 1000:.0f}, {SOON * 1000:.0f}
"""

# Replies with a wait in milliseconds, 0 if the weight is reserved. During a cool-down, status and
# code of the refusal follow. What was noted before Redis's clock was set back does not count. The
# first write is one that a full Redis refuses, because the following ones succeed then.
RESERVE = f"""{_NOW}
local requests, counts = unpack(KEYS)
local name, weight, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
for index = 3, 4 do
  local left = redis.call('PTTL', KEYS[index])
  if left > 0 then return {{left, redis.call('GET', KEYS[index])}} end
end
local last = now + minute + late
local occupied = redis.call('ZCOUNT', requests, '(' .. now, last) * weight
local in_flight = redis.call('ZCOUNT', requests, '(' .. now + minute, last) * weight
local count, first = unpack(redis.call('HMGET', counts, 'count', 'first'))
if not first or now < first + 0 or now >= first + minute then count, first = 0, 0 end
if math.max(occupied, count + in_flight) + weight <= limit then
  redis.call('ZADD', requests, last, name)
  redis.call('ZREMRANGEBYSCORE', requests, '-inf', now)
  redis.call('PEXPIRE', requests, 2 * minute)
  return {{0}}
end
if count + weight > limit then return {{first + minute - now}} end
local oldest = redis.call(
  'ZRANGEBYSCORE', requests, '(' .. now, last, 'WITHSCORES', 'LIMIT', 0, 1)[2]
return {{occupied + weight > limit and oldest - now <= minute and oldest - now or soon}}
"""

# A request still occupies its weight for some milliseconds, and reported a count or ''.
SETTLE = f"""{_NOW}
local requests, counts, reported = KEYS[1], KEYS[2], tonumber(ARGV[3])
local sent = (redis.call('ZSCORE', requests, ARGV[1]) or now) - minute - late
redis.call('ZADD', requests, now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', requests, 2 * minute)
if not reported then return end
local count, first, highest = unpack(redis.call('HMGET', counts, 'count', 'first', 'highest'))
local new = not first or sent >= first + minute or sent >= highest + 0 and reported < count + 0
if not new and reported <= count + 0 then return end
redis.call('HSET', counts, 'count', reported, 'highest', now, 'first', new and now or first)
redis.call('PEXPIRE', counts, minute)
"""

# Keeps the cool-down that ends last.
COOL_DOWN = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
end
"""
