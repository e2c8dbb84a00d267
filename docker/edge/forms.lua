-- Checks the heads of a form's parts before TorchServe reads them. If its parser fails on a form, the body stays in memory
-- outside Java's heap for as long as TorchServe runs, so one caller could use up all of it. Only names, charsets and
-- encodings that the parser is known to read are passed on; tests/deploy/edge/test_forms.py tries each against TorchServe.
-- deploy/edge/filters.py adds CHARSETS, the set of charsets that TorchServe's Java knows.

local FORM = "multipart/form-data"
local LONGEST_BOUNDARY = 70 -- characters, RFC 2046; a longer one takes long to look for
local MOST_PARTS = 64 -- as handlers/protocol/json_value.py has it
local MOST_MARKS = 1024 -- places at which the text of the boundary occurs, also inside of a file
local LONGEST_HEAD = 16384
local ENCODINGS = { ["7bit"] = true, ["8bit"] = true, binary = true }

-- What separates the parts: nil of another body, "" where none is named that could be looked for.
local function boundary_of(type)
  if type:lower():sub(1, #FORM) ~= FORM then return nil end
  for name, value in type:gmatch(";%s*([%w-]+)%s*=%s*([^;]*)") do
    if name:lower() == "boundary" then
      value = value:gsub("%s+$", ""):gsub('^"(.*)"$', "%1")
      return #value <= LONGEST_BOUNDARY and value:find("^[%w'()+_,./:=?-]+$") and value or ""
    end
  end
  return type:lower():find("boundary", 1, true) and "" or nil
end

-- Reads `; name=value` again and again from a position to the end of a line; false where there is anything else.
local function parameters(text, position, each)
  while true do
    local name, value
    local start = text:match("^%s*;%s*()", position)
    if start == nil then return text:find("^%s*$", position) ~= nil end
    name, position = text:match("^([%w*_-]+)%s*=%s*()", start)
    if name == nil then return false end
    local quoted = text:byte(position) == 34
    local last = position
    if quoted then
      repeat
        last = text:find('["\\]', last + 1)
        local escape = last and text:byte(last) == 92
        if escape then last = last + 1 end
      until not escape
      if last == nil or last > #text then return false end
      value, position = text:sub(position + 1, last - 1), last + 1
    else
      value, position = text:match("^([^%s;\",]+)()", position)
      if value == nil then return false end
    end
    if not each(name:lower(), value) then return false end
  end
end

-- A name that is not empty once TorchServe has taken these away.
local function is_named(value) return value:find('[^%c%s:,=;"]') ~= nil end

local function is_encoded(value)
  local charset, text = value:match("^([^']*)'[^']*'([^']*)$")
  return charset ~= nil and CHARSETS[charset:lower()] ~= nil and not text:gsub("%%%x%x", ""):find("%%")
end

local function is_disposition(value)
  local named = false
  local start = value:lower():match("^form%-data()%s*;")
  return start ~= nil and parameters(value, start, function(name, text)
    if name == "name" then named = true; return is_named(text) end
    return name == "filename" or (name == "filename*" and is_encoded(text))
  end) and named
end

local function is_type(value)
  local type, start = value:match("^([%w!#$&^_.+*/-]*)()")
  if type:lower():find("^multipart/") then return false end
  value = value:gsub("%s*;%s*$", "")
  return parameters(value, start, function(name, text)
    if name:find("^charset") then return name == "charset" and CHARSETS[text:lower()] ~= nil end
    return name:find("^content%-") == nil and name:find("name") == nil
  end)
end

-- Whether TorchServe can read a head: what stands between a boundary and an empty line.
local function is_head(head)
  local disposed = false
  for line in head:gmatch("([^\n]*)\n?") do
    line = line:gsub("\r$", "")
    if line ~= "" then
      local name, value = line:match("^([%w!#$&^_.+-]+):%s*(.-)%s*$")
      name = name and not line:find("[%z\1-\8\10-\31\127]") and name:lower()
      if not name then return false end
      if name == "content-disposition" then
        if not is_disposition(value) then return false end
        disposed = true
      elseif name == "content-type" then
        if not is_type(value) then return false end
      elseif name == "content-transfer-encoding" then
        if not ENCODINGS[value:lower()] then return false end
      end
    end
  end
  return disposed
end

-- `file --mime` says charset=binary of images, which Java does not know; for a file, one it knows makes no difference.
local BINARY, KNOWN = "([cC][hH][aA][rR][sS][eE][tT]%s*=%s*\"?)[bB][iI][nN][aA][rR][yY]", "%1latin1" -- of one length

local function mended(head)
  return (("\n" .. head):gsub("\n[cC][oO][nN][tT][eE][nN][tT]%-[tT][yY][pP][eE]:[^\r\n]*", function(line)
    return (line:gsub(BINARY, KNOWN))
  end):sub(2))
end

-- The form as TorchServe can read it, nil where it cannot. Whatever looks like a boundary is taken for one.
local function checked(text, boundary)
  local mark, pieces, kept, from, parts = "--" .. boundary, {}, 1, 1, 0
  for _ = 1, MOST_MARKS do
    local _, last = text:find(mark, from, true)
    if last == nil then
      if from == 1 then return nil end
      return #pieces == 0 and text or table.concat(pieces) .. text:sub(kept)
    end
    local start = text:match("^\r?\n()", last + 1)
    from = last + 1
    if start then
      parts = parts + 1
      local head = text:sub(start, start + LONGEST_HEAD)
      local length = head:match("^\r?\n()") and 0 or (head:match("()\r?\n\r?\n") or #head + 1) - 1
      head = head:sub(1, length)
      if parts > MOST_PARTS or length > LONGEST_HEAD or head:find(mark, 1, true) then return nil end
      local new = mended(head)
      if not is_head(new) then return nil end
      if new ~= head then
        pieces[#pieces + 1] = text:sub(kept, start - 1) .. new
        kept = start + length
      end
    end
  end
end

function envoy_on_request(request)
  local headers = request:headers()
  local boundary = boundary_of(headers:get("content-type") or "")
  if boundary == nil then return end
  request:streamInfo():dynamicMetadata():set("edge", "form", true)
  headers:replace("content-type", FORM .. "; boundary=" .. boundary) -- so that TorchServe finds the same one
  local body = request:body()
  local text = body and body:getBytes(0, body:length()) or ""
  local form = boundary ~= "" and checked(text, boundary) or nil
  if form == nil then
    request:streamInfo():dynamicMetadata():set("edge", "unreadable", true)
    request:respond({ [":status"] = "400" }, "")
  end
  if form ~= text then body:setBytes(form) end
end
