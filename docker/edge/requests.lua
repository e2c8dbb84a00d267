-- Reads each request before TorchServe does. deploy/edge/filters.py adds SMALL, the digits of the length of a small body,
-- DIGITS, those of each number in a management call, TOTAL, the seconds after which a caller gets 504, and SHARES: for each
-- model whose calls are divided between versions, the header by whose value a caller stays with one ("" for none), the
-- versions, each with its bound for a draw, and all shares as a text for the log; CLOSED, for each model the versions that take no calls, none for all; HELD, for
-- each model the milliseconds by which its calls are delayed, and until when, since 1970; FALL, by how much less that is for
-- each one after; CALLS, the paths of OpenAI's API below /v1/ and whether their bodies are json or a form; COPIED, for each model the share of its calls that is copied, and until when; TRAFFIC, which names them
-- all; TRACED, whether spans are sent; PARENT_BASED, whether a caller decides if they are, and THRESHOLD, for how many of a
-- million other requests.
--
-- A gRPC call must have one message with the fields that our clients send, and nothing else: TorchServe logs kilobytes of
-- stack for one that it cannot read, and takes every value of a management call.

local MOST = 64 -- fields in a message: room for a caller's parameters

local function text(pattern)
  return function(read, length) return length <= 128 and read(length):find(pattern) ~= nil end
end

local function below(limit)
  return function(value) return value < limit end
end

local function number(name) return below(10 ^ DIGITS[name]) end

local KEY, ARCHIVE, FLAG = text("^[%w_.-]*$"), text("^%w[%w_.-]*%.mar$"), below(2)
local function NAME(read, length) return length == 0 or text("^%w[%w_.-]*$")(read, length) end
-- Fields by number: those of wire type 2 take (read, length), those of wire type 0 a value.
local MODEL = { bytes = { [1] = NAME, [2] = NAME }, numbers = {} }
local NOTHING = { bytes = {}, numbers = {} }
local MESSAGES = {
  Ping = NOTHING,
  ServerLive = NOTHING,
  ServerReady = NOTHING,
  ServerMetadata = NOTHING,
  ModelReady = MODEL,
  ModelMetadata = MODEL,
  SetDefault = MODEL,
  UnregisterModel = MODEL,
  DescribeModel = { bytes = MODEL.bytes, numbers = { [3] = FLAG } },
  ListModels = { bytes = {}, numbers = { [1] = number("limit"), [2] = number("next_page_token") } },
  ScaleWorker = {
    bytes = MODEL.bytes,
    numbers = { [3] = number("max_worker"), [4] = number("min_worker"), [6] = FLAG },
  },
  RegisterModel = {
    bytes = { [5] = NAME, [9] = ARCHIVE },
    numbers = {
      [1] = number("batch_size"), [3] = number("initial_workers"), [4] = number("max_batch_delay"),
      [6] = number("response_timeout"), [8] = FLAG, [11] = number("startup_timeout"),
    },
  },
}

-- A number of base 128, and where the next one begins; nil where it is cut off. A negative one is large here.
local function varint(bytes, position)
  local value, unit = 0, 1
  for _ = 1, 10 do
    local byte = bytes:byte(position)
    if byte == nil then return nil end
    value = value + (byte % 128) * unit
    position, unit = position + 1, unit * 128
    if byte < 128 then return value, position end
  end
end

-- Walks the fields of a message between two offsets. Returns what is wrong, or nil.
local function wrong(body, first, last, message, each)
  local count = 0
  while first < last do
    count = count + 1
    if count > (message.most or MOST) then return "has too many fields" end
    local head = body:getBytes(first, math.min(20, last - first))
    local tag, position = varint(head, 1)
    if tag == nil then return "cannot be read" end
    local value
    value, position = varint(head, position)
    if value == nil then return "cannot be read" end
    first = first + position - 1
    local kind, field = tag % 8, math.floor(tag / 8)
    if kind == 0 then
      local check = message.numbers[field]
      if check == nil then return "has a field that is not taken, number " .. field end
      if not check(value) then return "has a number out of range, field " .. field end
    elseif kind == 2 then
      if first + value > last then return "cannot be read" end
      local start = first
      if field == message.entries then
        local problem = each(start, start + value)
        if problem then return problem end
      else
        local check = message.bytes[field]
        if check == nil then return "has a field that is not taken, number " .. field end
        if not check(function(length) return length == 0 and "" or body:getBytes(start, length) end, value) then
          return "has a name that is not letters, digits and ._- alone, field " .. field
        end
      end
      first = first + value
    else
      return "cannot be read"
    end
  end
end

-- TorchServe does not tell a handler which method was called, so our clients mark a call whose answer may come in pieces
-- with this entry. A second piece for a call of Predictions ends TorchServe's thread of that worker for good.
local MARK, STREAMS = "stream", "StreamPredictions"

-- A message of predictions; what it names goes into `named`.
local function prediction(named)
  local function keep(name)
    return function(read, length) named[name] = read(math.min(length, 128)); return NAME(read, length) end
  end
  return { bytes = { [1] = keep("model"), [2] = keep("version") }, numbers = {}, entries = 3 }
end

-- A message of KServe's v2 protocol, whose fields for the model and its version have the same numbers: its service reads
-- the rest.
local function inference(named)
  local message = prediction(named)
  local function any() return true end
  for field = 3, 7 do message.bytes[field] = any end
  message.entries = nil
  return message
end

local PREDICTIONS = { Predictions = prediction, StreamPredictions = prediction, ModelInfer = inference }

local function problem_of(body, method, named)
  local size = body == nil and 0 or body:length()
  if size < 5 then return "is missing" end
  local a, b, c, d, e = body:getBytes(0, 5):byte(1, 5)
  if a ~= 0 then return "is compressed" end
  if ((b * 256 + c) * 256 + d) * 256 + e ~= size - 5 then return "is not alone, or cut off" end
  local function entry(first, last)
    local marked, streams = false, false
    local fields = {
      most = 2, -- each once, for the last of two would count
      numbers = {},
      bytes = {
        [1] = function(read, length) marked = length == #MARK and read(length) == MARK; return KEY(read, length) end,
        [2] = function(read, length) streams = length == #STREAMS and read(length) == STREAMS; return true end,
      },
    }
    local problem = wrong(body, first, last, fields)
    if problem == nil and marked and streams and method ~= STREAMS then
      return "asks for a stream; call StreamPredictions"
    end
    return problem
  end
  return wrong(body, 5, size, PREDICTIONS[method] and PREDICTIONS[method](named) or MESSAGES[method], entry)
end

-- A * B modulo 2^32, of whole numbers below that.
local function times(a, b)
  return ((a % 65536) * b + (math.floor(a / 65536) * b % 65536) * 65536) % 4294967296
end

local function mixed(hash, shift)
  return bit.bxor(hash, bit.rshift(hash, shift)) % 4294967296
end

-- A number from 0 to 1 that is always the same for a text: 32-bit FNV-1a, then MurmurHash3's last step, so that names
-- which differ in one character lie far apart.
local function place(text)
  local hash = 2166136261
  for position = 1, #text do
    hash = times(bit.bxor(hash, text:byte(position)) % 4294967296, 16777619)
  end
  hash = times(mixed(hash, 16), 2246822507)
  hash = times(mixed(hash, 13), 3266489909)
  return mixed(hash, 16) / 4294967296
end

-- The version that answers a call which names none, and all shares; or nil where the server's default does.
local function drawn(headers, model)
  local shares = SHARES[model]
  if shares == nil then return nil end
  local value = shares.sticky ~= "" and headers:get(shares.sticky)
  local draw = value and place(model .. "/" .. value) or math.random()
  for _, share in ipairs(shares.bounds) do
    if draw < share[2] then return share[1], shares.text end
  end
end

local SHADOW = "x-shadow" -- the cluster that gets a copy; deploy/edge/routes.py
local DELAY = "x-envoy-fault-delay-request" -- in milliseconds; Envoy's fault filter reads it

-- Once it is known which version answers. Of one that is about to be unregistered, the answer is as it will be then.
local function decided(request, model, version, shares, copies)
  local metadata = request:streamInfo():dynamicMetadata()
  metadata:set("edge", "model", model)
  if version then metadata:set("edge", "version", version) end
  if shares then metadata:set("edge", "shares", shares) end
  local closed = CLOSED[model]
  if closed and (next(closed) == nil or closed[version or ""]) then
    request:respond({ [":status"] = "404" }, ("model %s has no version %s"):format(model, version or "that answers"))
  end
  local copied = COPIED[model]
  if copied and copies and request:timestamp() < copied[2] and math.random() < copied[1] then
    request:headers():replace(SHADOW, copies)
  end
  local held = HELD[model]
  if held then
    local delay = held[1] - FALL * math.max(0, request:timestamp() - held[2])
    if delay > 0 then request:headers():replace(DELAY, ("%d"):format(delay)) end
  end
end

-- A call's model, its version if it names one, and whether the path is one of KServe's.
local function called(path)
  local model, rest = path:match("^/predictions/([%w_.-]+)/?(.*)")
  if model then return model, rest ~= "" and rest or nil end
  model, rest = path:match("^/explanations/([%w_.-]+)/?(.*)")
  if model then return model:gsub("%.explain$", "") .. ".explain", rest ~= "" and rest or nil end
  model, rest = path:match("^/v2/models/([%w_.-]+)/versions/([%w_.-]+)/infer$")
  if model then return model, rest, true end
  model = path:match("^/v1/models/([%w_.-]+):predict$") or path:match("^/v2/models/([%w_.-]+)/infer$")
  return model, nil, true
end

local PARAMETERS = "x-parameters" -- handlers/protocol/query.py reads it
local WEB_FORM = "application/x-www-form-urlencoded"
local KSERVE = "x-kserve" -- handlers/protocol/request.py

-- What separates the parts of a form, as forms.lua has written it; nil of another body.
local function boundary_of(headers)
  return (headers:get("content-type") or ""):match("^multipart/form%-data; boundary=(.+)")
end

local OPENAI = "x-openai" -- handlers/protocol/openai/call.py
local QUOTE, OPEN, LIST = 34, 123, 91
local LONGEST_NAME = 128

-- Where a text in JSON ends that begins at a quotation mark; nil where it has no end.
local function end_of(text, position)
  while true do
    position = text:find('["\\]', position + 1)
    if position == nil or text:byte(position) == QUOTE then return position end
    position = position + 1
  end
end

-- The value of "model" among the keys of an object in JSON; nil where there is none, or it is no plain text.
local function model_in(text)
  local depth, position = 0, 1
  while true do
    local at = text:find('["{}%[%]]', position)
    if at == nil then return nil end
    local byte = text:byte(at)
    position = at + 1
    if byte == QUOTE then
      local last = end_of(text, at)
      if last == nil then return nil end
      position = last + 1
      if depth == 1 and last - at == 6 and text:sub(at, last) == '"model"' then
        local value = text:match('^[ \t\r\n]*:[ \t\r\n]*"([^"\\]*)"', position)
        if value then return value end
      end
    elseif byte == OPEN or byte == LIST then
      depth = depth + 1
    else
      depth = depth - 1
    end
  end
end

-- The value of the part "model" of a form; nil where there is none.
local function model_part(text, boundary)
  local from = 1
  while true do
    local start = text:find("--" .. boundary, from, true)
    local last = start and text:find("\r\n\r\n", start, true)
    if last == nil then return nil end
    if text:sub(start, last):find('[; \t]name="?model"?[; \t\r]') then
      local stop = text:find("\r\n--" .. boundary, last + 2, true)
      return stop and stop - last <= LONGEST_NAME + 4 and text:sub(last + 4, stop - 1) or nil
    end
    from = last
  end
end

-- Sends a call of OpenAI's API on to its model. The handler reads the body by itself, and refuses a call that names
-- another one.
local function to_model(request, headers, path)
  local kind = CALLS[path]
  local boundary = boundary_of(headers)
  local encoding = headers:get("content-encoding") or "identity"
  local type = (headers:get("content-type") or ""):lower()
  if encoding ~= "identity" then
    request:respond({ [":status"] = "415" }, "Content-Encoding: this path takes none")
  elseif kind == "form" and boundary == nil then
    request:respond({ [":status"] = "415" }, ("/v1/%s takes multipart/form-data with a boundary"):format(path))
  elseif kind == "json" and not type:find("^%s*application/json") then
    request:respond({ [":status"] = "415" }, ("/v1/%s takes application/json"):format(path))
  end
  local body = request:body()
  local text = body and body:length() > 0 and body:getBytes(0, body:length()) or ""
  local model
  if kind == "form" then model = model_part(text, boundary) else model = model_in(text) end
  if model == nil then
    request:streamInfo():dynamicMetadata():set("edge", "unnamed", true)
    request:respond({ [":status"] = "400" }, "")
  elseif #model > LONGEST_NAME or not model:find("^%w[%w_.-]*$") or model:find("%.explain$") then
    request:respond({ [":status"] = "404" }, "model: there is none of this name")
  end
  headers = request:headers() -- those from before the body came are not to be used any more
  headers:replace(":path", "/predictions/" .. model)
  headers:replace(OPENAI, path)
  request:streamInfo():dynamicMetadata():set("edge", "openai", true)
  return headers
end

local function over_rest(request, headers)
  local api = headers:get(":path"):match("^/v1/([%l/]+)")
  local openai = CALLS[api] ~= nil and headers:get(":method") == "POST"
  if openai then headers = to_model(request, headers, api) end
  local path, query = headers:get(":path"):match("^([^?]*)(.*)$")
  local model, version, kserve = called(path)
  if model == nil then return end
  -- TorchServe drops what stands behind a question mark.
  if #query > 1 then headers:replace(PARAMETERS, query:sub(2)) end
  local sent = (headers:get("content-type") or ""):lower()
  if sent:sub(1, #WEB_FORM) == WEB_FORM then
    request:streamInfo():dynamicMetadata():set("edge", "web_form", true)
  end
  local shares
  local named = version ~= nil
  if not named then version, shares = drawn(headers, model) end
  -- TorchServe has no path of KServe's with a version; the handler is told where the call came to.
  if version and (kserve or not named) then
    headers:replace(":path", ("/predictions/%s/%s%s"):format(model, version, query))
    if kserve then
      headers:replace(KSERVE, "true")
      request:streamInfo():dynamicMetadata():set("edge", "kserve", true)
    end
  end
  -- No two answers of OpenAI's API are the same: each has an id of its own.
  decided(request, model, version, shares, not openai and "shadow_rest" or nil)
end

-- An entry of a prediction's input map; both texts are shorter than 100 characters.
local function entry_of(key, value)
  local fields = "\10" .. string.char(#key) .. key .. "\18" .. string.char(#value) .. value
  return "\26" .. string.char(#fields) .. fields
end

-- traces: entries for the message.
local function over_grpc(request, headers, named, copies, traces)
  local version = named.version ~= "" and named.version or nil
  local shares
  local more = traces
  if version == nil then
    version, shares = drawn(headers, named.model or "")
    if version then more = more .. "\18" .. string.char(#version) .. version end
  end
  if more ~= "" then
    local body = request:body()
    local message = body:getBytes(5, body:length() - 5) .. more
    local size = #message
    local prefix = string.char(0, math.floor(size / 16777216), math.floor(size / 65536) % 256,
      math.floor(size / 256) % 256, size % 256)
    headers:replace("content-length", tostring(body:setBytes(prefix .. message)))
  end
  decided(request, named.model or "", version, shares, copies)
end

-- Until when the caller waits, by this machine's clock: TorchServe does not tell a handler that a caller has left. For
-- gRPC there is no such header, as TorchServe forwards none.
local function set_deadline(request, headers)
  local wanted = tonumber(headers:get("x-request-timeout") or "")
  local seconds = wanted and wanted > 0 and wanted < TOTAL and wanted or TOTAL
  headers:replace("x-request-deadline", string.format("%.3f", tonumber(request:timestamp()) / 1000 + seconds))
end

local SPAN, PARENT, START = "x-edge-span", "traceparent", "x-request-start"

-- Whether Envoy's sampler records a trace: as the caller says, or by the first half of its id, as a little-endian number
-- modulo a million. Nothing tells a filter; the tests compare the two.
local function sampled(trace, parent)
  if PARENT_BASED and parent then return tonumber(parent:sub(-2), 16) % 2 == 1 end
  local rest = 0
  for byte = 8, 1, -1 do rest = (rest * 256 + tonumber(trace:sub(2 * byte - 1, 2 * byte), 16)) % 1000000 end
  return rest < THRESHOLD
end

-- When the request leaves here, which only the edge may say. Over REST Envoy writes the traceparent itself; for gRPC, of
-- which TorchServe forwards no metadata, both are returned as entries of the message.
local function traced(request, headers)
  local span = headers:get(SPAN) or ""
  headers:remove(SPAN)
  headers:remove(START)
  if not TRACED then return "" end
  local start = request:timestampString(EnvoyTimestampResolution.MICROSECOND)
  headers:replace(START, start)
  if #span ~= 49 then return "" end -- Envoy does not trace a request whose traceparent cannot be read
  local flags = sampled(span:sub(1, 32), headers:get(PARENT)) and "01" or "00"
  local trace = ("00-%s-%s"):format(span, flags)
  request:streamInfo():dynamicMetadata():set("edge", "trace", trace)
  return entry_of(PARENT, trace) .. entry_of(START, start)
end

function envoy_on_request(request)
  local headers = request:headers()
  if headers:get(":path") == "/traffic" then
    request:respond({ [":status"] = "200" }, ("%s %d"):format(TRAFFIC, request:timestamp()))
  end
  headers:remove(SHADOW)
  headers:remove(KSERVE)
  headers:remove(OPENAI)
  headers:remove(DELAY)
  headers:remove(DELAY .. "-percentage")
  set_deadline(request, headers)
  local traces = traced(request, headers)
  -- The buffer before this filter has counted a length where none was declared, after the route had been chosen.
  if #(headers:get("content-length") or "") > SMALL then request:clearRouteCache() end
  -- By the path and not the content type, of which TorchServe takes any spelling.
  local method = headers:get(":path"):match("^/org%.pytorch%.serve%.grpc%.%w+%.%w+/(%w+)$")
    or headers:get(":path"):match("^/inference%.GRPCInferenceService/(%w+)$")
  if method == nil then return over_rest(request, headers) end
  if MESSAGES[method] == nil and not PREDICTIONS[method] then return end -- it has no route
  if method == STREAMS then request:streamInfo():dynamicMetadata():set("edge", "streams", true) end
  local named = {}
  local problem = problem_of(request:body(), method, named)
  if problem then request:respond({ [":status"] = "422" }, "the message " .. problem) end
  -- What compares copies knows TorchServe's messages alone; KServe's have no place for a trace, and their metadata arrives.
  local own = method ~= "ModelInfer"
  if PREDICTIONS[method] then
    over_grpc(request, request:headers(), named, own and "shadow_grpc" or nil, own and traces or "")
  end
end

-- Callers are told which version has answered, where they have not chosen it themselves, and the edge's span:
-- https://w3c.github.io/trace-context/#traceresponse-header.
function envoy_on_response(response)
  local noted = response:streamInfo():dynamicMetadata():get("edge") or {}
  if noted["version"] then response:headers():replace("model-version", noted["version"]) end
  if noted["trace"] then response:headers():replace("traceresponse", noted["trace"]) end
end
