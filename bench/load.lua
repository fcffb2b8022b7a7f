-- SPDX-License-Identifier: MIT
-- load.lua - requests for wrk. Arguments behind "--": DEPTH (pipelined requests), EVERY (0, or each EVERY-th
-- request says "Connection: close", over all connections together), FILE (a path a line, asked for in turn as a
-- browser does, instead of the path of the URL). Ends with one line of figures for harness.py.

-- What Chromium 130 says of itself when it fetches a part of a page.
local browser = {
  ["Accept"] = "*/*",
  ["Accept-Encoding"] = "gzip, deflate, br, zstd",
  ["Accept-Language"] = "en-GB,en;q=0.9",
  ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
}

local function page_init(file)
  local requests, count = {}, 0
  for path in io.lines(file) do
    requests[#requests + 1] = wrk.format("GET", path, browser)
  end
  request = function()
    count = count + 1
    return requests[(count - 1) % #requests + 1]
  end
end

function init(args)
  local depth, every = tonumber(args[1]) or 1, tonumber(args[2]) or 0
  if args[3] then
    for name, value in pairs(wrk.headers) do
      browser[name] = value
    end
    return page_init(args[3])
  end
  local one = wrk.format()
  if every > 0 then
    -- The field comes last, so that a server that parses nothing can see it too.
    local last = one:gsub("\r\n\r\n$", "\r\nConnection: close\r\n\r\n")
    local count = 0
    request = function()
      count = count + 1
      return count % every == 0 and last or one
    end
  elseif depth > 1 then
    local batch = one:rep(depth)
    -- wrk asks once and keeps the bytes: no Lua while it runs.
    wrk.format = function() return batch end
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("figures requests=%d us=%d bytes=%d connect=%d read=%d write=%d status=%d timeout=%d p50=%d p99=%d\n",
    summary.requests, summary.duration, summary.bytes, errors.connect, errors.read, errors.write, errors.status,
    errors.timeout, latency:percentile(50), latency:percentile(99)))
end
