-- SPDX-License-Identifier: MIT
-- load.lua - requests for wrk. Arguments behind "--": DEPTH (pipelined requests), EVERY (0, or each EVERY-th
-- request says "Connection: close", over all connections together). Ends with one line of figures for run.py.

function init(args)
  local depth, every = tonumber(args[1]) or 1, tonumber(args[2]) or 0
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
