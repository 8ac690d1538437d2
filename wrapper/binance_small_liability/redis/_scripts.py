"""The scripts that Redis runs, each as one atomic step."""

# The rules are those of `Budget` in `_call/pacing.py`. The clock is Redis's, corrected by the
# slowest clock that Binance has accepted in the last ten minutes. Reservations in flight are a set
# of ids, scored by their minute, so that a report that arrives twice counts once.
RESERVE = """
local budget, in_flight, clock, ban, cooling = unpack(KEYS)
local id, weight, limit, given, trusted, period, ahead, delay, reordering = unpack(ARGV, 1, 9)
limit = tonumber(limit)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known, banned, cooled = unpack(redis.call('MGET', clock, ban, cooling))
known = tonumber(known or nil)
-- COOL_DOWN stores "end status code". The end is a time of Redis's clock, not yet corrected.
local function remaining(text) return text and string.match(text, '%d+') - now or 0 end
local pause = math.max(remaining(banned), remaining(cooled))
local cause = remaining(banned) > 0 and banned or cooled
if given + 0 > 0 then
  local skew = given - now
  -- A difference of more than 10 s means that Redis's clock was changed.
  if trusted == '1' and (not known or skew < known or skew > known + 10000) then
    redis.call('SET', clock, skew, 'PX', 600000)
    known = skew
  end
  known = known or skew
end
now = now + (known or 0)

local state = redis.call('HMGET', budget, 'minute', 'dated', 'counted', 'reported', 'number',
                         'last_unclear', 'uncounted', 'late')
for i = 1, 6 do state[i] = tonumber(state[i] or 0) end
local minute, dated, counted, reported, number, last_unclear = unpack(state, 1, 6)
local function list(text, least)
  local numbers = {}
  for word in string.gmatch(text or '', '%d+') do
    if tonumber(word) >= least then table.insert(numbers, tonumber(word)) end
  end
  return numbers
end
local uncounted, late = list(state[7], 0), list(state[8], 0)

local function begin(at, is_dated)
  -- The reservations of this minute and the one before stay.
  local kept = (at == minute + 1) and minute or at
  redis.call('ZREMRANGEBYSCORE', in_flight, '-inf', kept - 1)
  redis.call('ZREMRANGEBYSCORE', in_flight, at + 1, 'inf')
  uncounted = list(table.concat(uncounted, ' '), at * period - delay)
  minute, dated, counted, late = at, is_dated, 0, {}
end
local current = math.floor((now - ahead) / period)
if current > minute or current < minute - dated then begin(current, 0) end

for i = 10, #ARGV, 7 do
  local settled, kind, number_then, minute_then, at, count, answered_in = unpack(ARGV, i, i + 6)
  number_then, minute_then, at = tonumber(number_then), tonumber(minute_then), tonumber(at)
  count, answered_in = tonumber(count), tonumber(answered_in)
  if redis.call('ZREM', in_flight, settled) == 1 and kind ~= 'released' then
    if answered_in == minute + 1 then begin(minute + 1, 1) end
    if not count then
      if kind == 'lost' then table.insert(uncounted, at)
      elseif reported == 1 or kind == 'refused' then table.insert(uncounted, at - reordering) end
      last_unclear = number
    else
      reported = 1
      if minute_then == minute then
        counted = math.max(counted, count)
        if number_then > last_unclear then
          uncounted, late = list(table.concat(uncounted, ' '), at - reordering + 1), {}
        end
        late = list(table.concat(late, ' '), counted + 1)
      elseif (not answered_in or answered_in == minute) and count > counted then
        table.insert(late, count)
        last_unclear = number
      end
    end
  end
end

local reply
local used = counted + (#uncounted + #late + 1) * weight
-- Without an id the script only reports.
if id == '' then
  reply = {'settled'}
elseif pause > 0 then
  reply = {'cooling', pause, string.match(cause, ' (.*)')}
elseif limit > 0 and used > limit then
  reply = {'wait', (minute + 1) * period + ahead - now}
elseif limit > 0 and used + redis.call('ZCARD', in_flight) * weight > limit then
  reply = {'soon'}
else
  number = number + 1
  redis.call('ZADD', in_flight, minute, id)
  reply = {'reserved', number, minute, now}
end
redis.call('HSET', budget, 'minute', minute, 'dated', dated, 'counted', counted,
           'reported', reported, 'number', number, 'last_unclear', last_unclear,
           'uncounted', table.concat(uncounted, ' '), 'late', table.concat(late, ' '))
redis.call('PEXPIRE', budget, 3 * period)
redis.call('PEXPIRE', in_flight, 3 * period)
return reply
"""

COOL_DOWN = """
local milliseconds, refusal = unpack(ARGV)
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + milliseconds
-- The key expires too, but tests simulate the clock and not the expiry.
local stored = redis.call('GET', KEYS[1])
if not stored or string.match(stored, '%d+') + 0 < ends then
  redis.call('SET', KEYS[1], string.format('%d %s', ends, refusal), 'PX', milliseconds)
end
return 1
"""
