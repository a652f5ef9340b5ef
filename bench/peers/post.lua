-- Posts the lines of the file BODIES in turn, and prints one JSON line of results.
-- AUTHORIZATION: a header for every request; with it, every request has its own Idempotency-Key.
-- STATUS: counts the answers with another status. This costs CPU time, so measured runs do without.
local parts, n, i, count = {}, 0, 0, 0
local mark = "@KEY@"
local run, authorization, status = os.getenv("RUN"), os.getenv("AUTHORIZATION"), os.getenv("STATUS")
local threads = {}
unexpected = 0 -- global, so that done() can read it from each thread

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  local headers = {["Content-Type"] = "application/json"}
  if authorization then
    headers["Authorization"] = authorization
    headers["Idempotency-Key"] = '"' .. mark .. '"'
  end
  for line in io.lines(os.getenv("BODIES")) do
    local text = wrk.format("POST", nil, headers, line)
    local from, to = text:find(mark, 1, true)
    n = n + 1
    parts[n] = from and {text:sub(1, from - 1), text:sub(to + 1)} or {text}
  end
  i = number * 97 -- so that the threads do not send the same application at the same time
end

function request()
  i = i + 1
  local part = parts[i % n + 1]
  if not part[2] then
    return part[1]
  end
  count = count + 1
  return part[1] .. string.format("%s-%04x-4000-8000-%012x", run, number, count) .. part[2]
end

if status then
  function response(code)
    if code ~= tonumber(status) then
      unexpected = unexpected + 1
    end
  end
end

function done(summary, latency)
  local errors, others = summary.errors, 0
  for _, thread in ipairs(threads) do
    others = others + thread:get("unexpected")
  end
  print(string.format(
    'RESULT {"requests": %d, "seconds": %.3f, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f, '
      .. '"failed": %d, "unexpected": %d, "broken": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3, errors.status, others,
    errors.connect + errors.read + errors.write + errors.timeout))
end
