//! What Redis is to do as one operation, in Lua.
//!
//! A script reads the clock and then writes: what is replicated is the effect, as it always is since Redis 5 (and by default; a
//! server may not be configured otherwise since 7).

use std::sync::LazyLock;

use redis::Cmd;

/// What all have in common. `found` returns the home under the key, when the session ends (0: never), and how long the key
/// has to live; nothing if there is none, or it has ended; false if it is of another form. A string that may be anybody's is read
/// no further than to see that.
macro_rules! script {
    ($body:literal) => {
        LazyLock::new(|| {
            Script::of(concat!(
                r"
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function left(ends, idle)
  if ends == 0 then return idle end
  return math.min(idle, ends - now())
end
local function whole(number)
  return string.format('%.0f', number)
end
local function found(value, idle)
  if value == '' then return nil, 0 end
  local ends, home = string.match(value, '^1:(%d+):(.*)$')
  if not ends or #value > 4128 then return false, 0 end
  ends = tonumber(ends)
  local live = left(ends, idle)
  if live <= 0 then return nil, 0 end
  return home, ends, live
end
local function write(home, ends, idle)
  local live = math.max(1, left(ends, idle))
  redis.call('SET', KEYS[1], '1:' .. whole(ends) .. ':' .. home, 'PX', whole(live))
end
",
                $body
            ))
        })
    };
}

/// With the idle time: the home, which is used by that; nil if there is none, 0 if it is of another form. What can't be written,
/// for want of replicas or a disk, can be read all the same.
pub(super) static GET: LazyLock<Script> = script!(
    r"
local home, ends, live = found(redis.call('GETRANGE', KEYS[1], 0, 4128), tonumber(ARGV[1]))
if home == nil then return false end
if home == false then return 0 end
redis.pcall('PEXPIRE', KEYS[1], whole(live))
return home
"
);

/// With the idle time, the lifetime (0: none), the home to be and, if any, the one that is to be left: the home that it is then;
/// 0 if what is there is of another form.
pub(super) static CLAIM: LazyLock<Script> = script!(
    r"
local idle, lifetime, to, from = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local home, ends, live = found(redis.call('GETRANGE', KEYS[1], 0, 4128), idle)
if home == false then return 0 end
if home and home ~= from then
  redis.pcall('PEXPIRE', KEYS[1], whole(live))
  return home
end
if not home and lifetime > 0 then ends = now() + lifetime end
write(to, ends, idle)
return to
"
);

/// With the idle time, the lifetime and the home to be, whatever is there.
pub(super) static PUT: LazyLock<Script> = script!(
    r"
local idle, lifetime = tonumber(ARGV[1]), tonumber(ARGV[2])
local value = redis.pcall('GETRANGE', KEYS[1], 0, 4128)
if type(value) ~= 'string' then value = '' end
local home, ends = found(value, idle)
if not home and lifetime > 0 then ends = now() + lifetime end
write(ARGV[3], ends, idle)
return 1
"
);

/// With the home to be left and the home to be: 1 if it was moved, 0 if it was not there. No use of the session: it lives no
/// longer for it.
pub(super) static MOVE: LazyLock<Script> = script!(
    r"
local home, ends = found(redis.call('GETRANGE', KEYS[1], 0, 4128), 1)
if not home or home ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], '1:' .. whole(ends) .. ':' .. ARGV[2], 'KEEPTTL')
return 1
"
);

/// A script, and the name by which Redis knows it.
pub(super) struct Script {
    code: &'static str,
    name: String,
}

impl Script {
    fn of(code: &'static str) -> Self {
        Self {
            code,
            name: redis::Script::new(code).get_hash().to_owned(),
        }
    }
}

/// A script with one key and its arguments.
pub(super) struct Call {
    script: &'static Script,
    key: Vec<u8>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn new(script: &'static Script, key: Vec<u8>) -> Self {
        Self {
            script,
            key,
            arguments: Vec::new(),
        }
    }

    pub(super) fn with(mut self, argument: impl Into<Vec<u8>>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(super) fn with_number(self, number: u64) -> Self {
        self.with(number.to_string())
    }

    /// By the script's name, which Redis knows once it has seen the script.
    pub(super) fn by_name(&self) -> Cmd {
        self.command("EVALSHA", &self.script.name)
    }

    /// With the script itself, which Redis then knows: until it restarts, or is told to forget it.
    pub(super) fn in_full(&self) -> Cmd {
        self.command("EVAL", self.script.code)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(1).arg(&self.key).arg(&self.arguments);
        command
    }
}
