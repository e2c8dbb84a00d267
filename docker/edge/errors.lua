-- Over gRPC, TorchServe ends every prediction with status OK, an error of the model included: the error's JSON is the
-- prediction. This turns it into a gRPC status, so that every client sees an error as an error. The JSON goes with it as
-- the trailer "bundle-error".

-- HTTP codes to gRPC's, as grpc-gateway has them the other way round.
local STATUS = {
  ["400"] = "3", ["406"] = "3", ["413"] = "11", ["415"] = "3", ["422"] = "3",
  ["500"] = "13", ["501"] = "12", ["503"] = "14", ["504"] = "4", ["507"] = "8",
}
local PREDICTION = 0x0a -- field 1, length-delimited
local LONGEST = 4096    -- bytes; an answer that is longer is no error

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

function envoy_on_response(response)
  local type = response:headers():get("content-type") or ""
  if type:sub(1, 16) ~= "application/grpc" then return end
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
end
