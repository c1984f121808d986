-- Sends the requests listed in a file, one per line: path, then "Name: value" for each header, all separated by tabs.
-- Each thread starts at another place of the list, so that paths and callers are spread as in real use.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  requests = {}
  for line in io.lines(args[1]) do
    local headers = {}
    local path = line:match("^[^\t]*")
    for name, value in line:gmatch("\t([^:\t]+): ([^\t]*)") do
      headers[name] = value
    end
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
  position = math.floor(number * #requests / 2)
end

function request()
  position = position % #requests + 1
  return requests[position]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    "result requests=%d microseconds=%d bytes=%d failed=%d status=%d p50=%d p99=%d\n",
    summary.requests, summary.duration, summary.bytes,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    latency:percentile(50), latency:percentile(99)))
end
