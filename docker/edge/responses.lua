-- Gives each of TorchServe's errors the status it should have: 4xx where the caller is at fault, 503 for a full queue. Over
-- gRPC, TorchServe ends every prediction with OK, an error of the model included: the error's JSON is the prediction. It
-- becomes a status, and goes along as "bundle-error". RETRY_AFTER, in seconds, FORM and WEB_FORM are added by
-- deploy/edge/filters.py.

-- HTTP codes to gRPC's, as grpc-gateway has them the other way round.
local STATUS = {
  ["400"] = "3", ["401"] = "16", ["403"] = "7", ["404"] = "5", ["405"] = "12", ["406"] = "3", ["413"] = "11", ["415"] = "3",
  ["422"] = "3", ["429"] = "8", ["431"] = "8", ["500"] = "13", ["501"] = "12", ["503"] = "14", ["504"] = "4", ["507"] = "8",
}
local PREDICTION = 0x0a -- field 1, length-delimited
local LONGEST = 4096    -- bytes; an answer that is longer is no error

-- TorchServe says of a full queue that the model has no worker, and of both that workers should be added.
local NO_WORKER = 'odel \\?"([%w_.-]*).-has no worker to serve'
local function busy(model)
  return ("model %s takes no request now: its queue is full, or it has no worker; try again"):format(model)
end

-- What TorchServe's REST side answers for the exceptions that it sends as INTERNAL over gRPC.
local CODES = { ModelNotFoundException = "404", ModelVersionNotFoundException = "404", BadRequestException = "400" }

-- The prediction of one uncompressed gRPC message, or nil.
local function prediction(bytes)
  if #bytes < 8 or bytes:byte(1) ~= 0 or bytes:byte(6) ~= PREDICTION then return nil end
  local length, shift, position = 0, 1, 7
  while true do
    local byte = bytes:byte(position)
    if byte == nil then return nil end
    length = length + (byte % 128) * shift
    position = position + 1
    if byte < 128 then break end
    shift = shift * 128
  end
  return bytes:sub(position, position + length - 1)
end

-- gRPC's percent-encoding of a message: printable ASCII but "%" stays.
local function encoded(text)
  return (text:gsub("[^\32-\36\38-\126]", function(c) return string.format("%%%02X", c:byte()) end))
end

local function decoded(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- What a call that ended without an answer should have said: its code, type and message, or nil.
local function ended(message)
  local model = message:match(NO_WORKER)
  if model then return "503", "Unavailable", busy(model) end
  local said, type = message:match("^(.*)\n[%w.]-(%w+Exception)")
  if CODES[type] then return CODES[type], type, said end
end

-- The error as all others have it. Names in it have passed requests.lua or a route, so nothing needs escaping.
local function form(code, type, message)
  return ('{"code":%s,"type":"%s","message":"%s"}'):format(code, type, message)
end

-- Whether the call came to a route of an API with errors of its own (deploy/edge/routes.py): KServe's are a message
-- alone. One that requests.lua has sent elsewhere has another route by now.
local function speaks(response, api)
  local noted = response:streamInfo():dynamicMetadata():get("edge")
  return response:metadata():get(api) or (noted and noted[api])
end

local UNNAMED = "model: wanted the name of a model, as a text in the body" -- of a call of OpenAI's API

local function speaks_kserve(response) return speaks(response, "kserve") end

local OPENAI = '{"error":{"message":"%s","type":"%s","param":null,"code":%s}}'

-- The message of an error in JSON, its escapes as they stand; nil where there is none.
local function message_of(text)
  local _, first = text:find('"message":%s*"')
  local position = first
  while position do
    position = text:find('["\\]', position + 1)
    if position == nil then return nil end
    if text:sub(position, position) == '"' then return text:sub(first + 1, position - 1) end
    position = position + 1
  end
end

local function over_grpc(response)
  local headers = response:headers()
  local status = headers:get("grpc-status")
  if status == "0" then return end
  if status then -- an answer of headers alone
    local message = headers:get("grpc-message") or ""
    local code = message:match('^{"code":(%d%d%d),') -- the edge's own
    if code then
      -- 404 stays UNIMPLEMENTED, as gRPC wants it of a method that is not there.
      if code ~= "404" and STATUS[code] then headers:replace("grpc-status", STATUS[code]) end
      if speaks_kserve(response) then headers:replace("grpc-message", message_of(message) or message) end
      return
    end
    local type, said
    code, type, said = ended(decoded(message))
    if code == nil then return end
    headers:replace("grpc-status", STATUS[code])
    headers:replace("grpc-message", encoded(said))
    headers:add("bundle-error", encoded(form(code, type, said)))
    if code == "503" then headers:replace("retry-after", RETRY_AFTER) end
    return
  end
  local noted = response:streamInfo():dynamicMetadata():get("edge")
  if noted and noted["streams"] then return end -- its pieces go through as they come
  if speaks_kserve(response) then return end -- its service ends with a status
  local body = response:body()
  if body == nil or body:length() > LONGEST or body:length() == 0 then return end
  local text = prediction(body:getBytes(0, body:length()))
  if text == nil then return end
  local code = text:match('^{"code":(%d%d%d),"type":"%w+","message":')
  if code == nil then return end
  local trailers = response:trailers()
  if trailers == nil then return end
  trailers:replace("grpc-status", STATUS[code] or "2")
  trailers:replace("grpc-message", encoded(text:match('"message":"(.*)"}$') or text))
  trailers:add("bundle-error", encoded(text))
  if code == "503" then trailers:replace("retry-after", RETRY_AFTER) end
end

-- The server's own faults, which are said as they are.
local MEANT = { InternalServerException = true, ServiceUnavailableException = true }

-- The code, type and message instead of an error that TorchServe has not told rightly; nil where it has.
local function told(code, text, web_form)
  local type = text:match('"type":%s*"(%w*)"') or ""
  local model = code == "503" and text:match(NO_WORKER)
  if model then return "503", "Unavailable", busy(model) end
  -- While it reads a request, TorchServe answers whatever Java throws with 500, or 403 for a bad argument. In an answer
  -- of its own there is a space after the colon, in a handler's there is none.
  if text:find('"type": "', 1, true) and not MEANT[type] then
    if web_form then return "415", "UnsupportedMedia", WEB_FORM end
    return "400", "MalformedInput", FORM
  end
end

local TELLING = { ["403"] = true, ["500"] = true, ["503"] = true }

local function over_rest(response)
  local headers = response:headers()
  local code = headers:get(":status")
  local kserve = tonumber(code) >= 400 and speaks_kserve(response)
  local openai = tonumber(code) >= 400 and speaks(response, "openai")
  if not (TELLING[code] or kserve or openai) or headers:get("content-type") ~= "application/json" then return end
  local body = response:body()
  if body == nil then return end
  -- TorchServe's words may repeat what was sent, in whatever length; a handler's error is short.
  local noted = response:streamInfo():dynamicMetadata():get("edge")
  local text = body:getBytes(0, math.min(body:length(), LONGEST))
  if openai and text:find('^{"error":{') then return end -- the handler's own
  local new, type, said
  if TELLING[code] then new, type, said = told(code, text, noted and noted["web_form"]) end
  if noted and noted["unnamed"] then new, type, said = code, "MalformedInput", UNNAMED end
  if new == nil and (kserve or openai) then
    new, type, said = code, text:match('"type":%s*"(%w*)"') or "", message_of(text)
  end
  if said == nil then return end
  local answer = kserve and ('{"error":"%s"}'):format(said) or form(new, type, said)
  if openai then answer = OPENAI:format(said, type, new) end
  headers = response:headers() -- those from before the body came are not to be used any more
  headers:replace(":status", new)
  headers:replace("content-length", tostring(body:setBytes(answer)))
  if new == "503" then headers:replace("retry-after", RETRY_AFTER) end
end

function envoy_on_response(response)
  local type = response:headers():get("content-type") or ""
  if type:sub(1, 16) == "application/grpc" then over_grpc(response) else over_rest(response) end
end
