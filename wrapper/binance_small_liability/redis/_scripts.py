"""The scripts that Redis runs, each as one atomic step."""

# The rules are those of `Budget` in `_call/limits.py`. The clock is Redis's, corrected by the
# slowest clock that Binance has accepted in the last ten minutes.
RESERVE = """
local budget, clock, ban, cooling = unpack(KEYS)
local weight, limit, trusted, period, ahead = unpack(ARGV, 1, 5)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if trusted ~= '' then
  local skew = trusted - now
  local known = redis.call('GET', clock)
  -- A clock that is more than 10 s slower has jumped; Binance will refuse its timestamps.
  if not known or (skew < tonumber(known) and skew > known - 10000) then
    redis.call('SET', clock, skew, 'PX', 600000)
  end
end
now = now + (redis.call('GET', clock) or 0)

local state = redis.call('HMGET', budget, 'minute', 'counted', 'number', 'in_flight', 'before',
                         'lost', 'last_unclear', 'late')
for i = 1, 7 do state[i] = tonumber(state[i] or 0) end
local minute, counted, number, in_flight, before, lost, last_unclear = unpack(state, 1, 7)
local late = {}
for count in string.gmatch(state[8] or '', '%d+') do table.insert(late, tonumber(count)) end

local function begin(at)
  before = (at == minute + 1) and in_flight or 0
  minute, counted, in_flight, late = at, 0, 0, {}
end
local current = math.floor((now - ahead) / period)
if current > minute or current < minute - 1 then
  begin(current)
  lost = 0
end

for i = 6, #ARGV, 5 do
  local kind, reserved_in, reserved, count, answered_in = unpack(ARGV, i, i + 4)
  reserved_in, reserved = tonumber(reserved_in), tonumber(reserved)
  count, answered_in = tonumber(count), tonumber(answered_in)
  if reserved_in == minute then in_flight = math.max(0, in_flight - weight)
  elseif reserved_in == minute - 1 then before = math.max(0, before - weight) end
  if kind ~= 'released' then
    if answered_in == minute + 1 then begin(minute + 1) end
    if not count then
      if kind == 'lost' or counted > 0 then lost, last_unclear = lost + weight, number end
    elseif reserved_in == minute then
      counted = math.max(counted, count)
      if reserved > last_unclear then lost, late = 0, {} end
      local above = {}
      for _, each in ipairs(late) do
        if each > counted then table.insert(above, each) end
      end
      late = above
    elseif (not answered_in or answered_in == minute) and count > counted then
      table.insert(late, count)
      last_unclear = number
    end
  end
end

local reply
local used = counted + lost + #late * weight + weight
local pause = math.max(redis.call('PTTL', ban), redis.call('PTTL', cooling))
if limit == '' then
  reply = {'settled'}
elseif pause > 0 then
  local refusal = redis.call('PTTL', ban) > 0 and redis.call('GET', ban)
  reply = {'cooling', pause, refusal or redis.call('GET', cooling)}
elseif limit + 0 > 0 and used > limit + 0 then
  reply = {'wait', (minute + 1) * period + ahead - now}
elseif limit + 0 > 0 and used + in_flight + before > limit + 0 then
  reply = {'soon'}
else
  in_flight, number = in_flight + weight, number + 1
  reply = {'reserved', minute, number}
end
redis.call('HSET', budget, 'minute', minute, 'counted', counted, 'number', number,
           'in_flight', in_flight, 'before', before, 'lost', lost, 'last_unclear', last_unclear,
           'late', table.concat(late, ' '))
redis.call('PEXPIRE', budget, 3 * period)
return reply
"""

COOL_DOWN = """
local budget, cooling = unpack(KEYS)
local milliseconds, refusal = unpack(ARGV)
redis.call('HSET', budget, 'counted', 0, 'lost', 0, 'late', '')
redis.call('PEXPIRE', budget, milliseconds + 180000)
if redis.call('PTTL', cooling) < milliseconds + 0 then
  redis.call('SET', cooling, refusal, 'PX', milliseconds)
end
return 1
"""
