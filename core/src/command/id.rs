//! Names of commands, and how each meets the groups.

/// Names a command, or a subcommand of a container such as CLIENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CommandId {
    // Strings.
    /// APPEND.
    Append,
    /// DECR.
    Decr,
    /// DECRBY.
    DecrBy,
    /// GET.
    Get,
    /// GETDEL.
    GetDel,
    /// GETEX.
    GetEx,
    /// GETRANGE.
    GetRange,
    /// GETSET.
    GetSet,
    /// GETTTL.
    GetTtl,
    /// INCR.
    Incr,
    /// INCRBY.
    IncrBy,
    /// INCRBYFLOAT.
    IncrByFloat,
    /// MGET.
    MGet,
    /// MSET.
    MSet,
    /// MSETNX.
    MSetNx,
    /// PSETEX.
    PSetEx,
    /// SET.
    Set,
    /// SETEX.
    SetEx,
    /// SETNX.
    SetNx,
    /// SETRANGE.
    SetRange,
    /// STRLEN.
    StrLen,
    /// SUBSTR.
    SubStr,
    // Keys of any kind.
    /// CHANGES.
    Changes,
    /// COPY.
    Copy,
    /// DBSIZE.
    DbSize,
    /// DEL.
    Del,
    /// EXISTS.
    Exists,
    /// EXPIRE.
    Expire,
    /// EXPIREAT.
    ExpireAt,
    /// EXPIRETIME.
    ExpireTime,
    /// FLUSHALL.
    FlushAll,
    /// FLUSHDB.
    FlushDb,
    /// KEYS.
    Keys,
    /// PERSIST.
    Persist,
    /// PEXPIRE.
    PExpire,
    /// PEXPIREAT.
    PExpireAt,
    /// PEXPIRETIME.
    PExpireTime,
    /// PTTL.
    PTtl,
    /// RANDOMKEY.
    RandomKey,
    /// RENAME.
    Rename,
    /// RENAMENX.
    RenameNx,
    /// SCAN.
    Scan,
    /// TOUCH.
    Touch,
    /// TTL.
    Ttl,
    /// TYPE.
    Type,
    /// UNLINK.
    Unlink,
    /// OBJECT ENCODING.
    ObjectEncoding,
    /// OBJECT FREQ.
    ObjectFreq,
    /// OBJECT IDLETIME.
    ObjectIdleTime,
    /// OBJECT REFCOUNT.
    ObjectRefCount,
    /// MEMORY USAGE.
    MemoryUsage,
    /// DEBUG OBJECT.
    DebugObject,
    // Containers: nothing runs under their own names.
    /// ACL.
    Acl,
    /// CLIENT.
    Client,
    /// CLUSTER.
    Cluster,
    /// CONFIG.
    Config,
    /// DEBUG.
    Debug,
    /// LATENCY.
    Latency,
    /// MEMORY.
    Memory,
    /// OBJECT.
    Object,
    /// SLOWLOG.
    Slowlog,
    // Users.
    /// ACL DELUSER.
    AclDelUser,
    /// ACL GETUSER.
    AclGetUser,
    /// ACL LIST.
    AclList,
    /// ACL SETUSER.
    AclSetUser,
    /// ACL STORED.
    AclStored,
    /// ACL USERS.
    AclUsers,
    // Answered by the session.
    /// ACL CAT.
    AclCat,
    /// ACL DRYRUN.
    AclDryRun,
    /// ACL GENPASS.
    AclGenPass,
    /// ACL LOAD.
    AclLoad,
    /// ACL LOG.
    AclLog,
    /// ACL SAVE.
    AclSave,
    /// ACL WHOAMI.
    AclWhoAmI,
    /// ASKING.
    Asking,
    /// AUTH.
    Auth,
    /// BGSAVE.
    BgSave,
    /// CLIENT CAPA.
    ClientCapa,
    /// CLIENT GETNAME.
    ClientGetName,
    /// CLIENT GETREDIR.
    ClientGetRedir,
    /// CLIENT ID.
    ClientId,
    /// CLIENT INFO.
    ClientInfo,
    /// CLIENT KILL.
    ClientKill,
    /// CLIENT LIST.
    ClientList,
    /// CLIENT `MAINT_NOTIFICATIONS`.
    ClientMaintNotifications,
    /// CLIENT NO-EVICT.
    ClientNoEvict,
    /// CLIENT NO-TOUCH.
    ClientNoTouch,
    /// CLIENT PAUSE.
    ClientPause,
    /// CLIENT REPLY.
    ClientReply,
    /// CLIENT SETINFO.
    ClientSetInfo,
    /// CLIENT SETNAME.
    ClientSetName,
    /// CLIENT TRACKING.
    ClientTracking,
    /// CLIENT TRACKINGINFO.
    ClientTrackingInfo,
    /// CLIENT UNPAUSE.
    ClientUnpause,
    /// CLUSTER COUNTKEYSINSLOT.
    ClusterCountKeysInSlot,
    /// CLUSTER INFO.
    ClusterInfo,
    /// CLUSTER KEYSLOT.
    ClusterKeySlot,
    /// CLUSTER MYID.
    ClusterMyId,
    /// CLUSTER NODES.
    ClusterNodes,
    /// CLUSTER SHARDS.
    ClusterShards,
    /// CLUSTER SLOTS.
    ClusterSlots,
    /// COMMAND, alone.
    Command,
    /// COMMAND COUNT.
    CommandCount,
    /// COMMAND DOCS.
    CommandDocs,
    /// COMMAND GETKEYS.
    CommandGetKeys,
    /// COMMAND GETKEYSANDFLAGS.
    CommandGetKeysAndFlags,
    /// COMMAND INFO.
    CommandInfo,
    /// COMMAND LIST.
    CommandList,
    /// CONFIG GET.
    ConfigGet,
    /// CONFIG RESETSTAT.
    ConfigResetStat,
    /// CONFIG REWRITE.
    ConfigRewrite,
    /// CONFIG SET.
    ConfigSet,
    /// DEBUG SLEEP.
    DebugSleep,
    /// ECHO.
    Echo,
    /// HELLO.
    Hello,
    /// The HELP of any container.
    Help,
    /// INFO.
    Info,
    /// LASTSAVE.
    LastSave,
    /// LATENCY DOCTOR.
    LatencyDoctor,
    /// LATENCY HISTORY.
    LatencyHistory,
    /// LATENCY LATEST.
    LatencyLatest,
    /// LATENCY RESET.
    LatencyReset,
    /// MEMORY DOCTOR.
    MemoryDoctor,
    /// MEMORY PURGE.
    MemoryPurge,
    /// MEMORY STATS.
    MemoryStats,
    /// MONITOR.
    Monitor,
    /// PING.
    Ping,
    /// PSYNC.
    PSync,
    /// QUIT.
    Quit,
    /// READONLY.
    ReadOnly,
    /// READWRITE.
    ReadWrite,
    /// REPLCONF.
    ReplConf,
    /// REPLICAOF and SLAVEOF.
    ReplicaOf,
    /// RESET.
    Reset,
    /// ROLE.
    Role,
    /// SAVE.
    Save,
    /// SELECT.
    Select,
    /// SHUTDOWN.
    Shutdown,
    /// SLOWLOG GET.
    SlowlogGet,
    /// SLOWLOG LEN.
    SlowlogLen,
    /// SLOWLOG RESET.
    SlowlogReset,
    /// SYNC.
    Sync,
    /// TIME.
    Time,
    /// WAIT.
    Wait,
    /// WAITAOF.
    WaitAof,
}

impl CommandId {
    /// How many there are.
    pub const COUNT: usize = Self::WaitAof as usize + 1;
}

/// How a command meets the groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Answered by the session itself (`connection`): no group is asked.
    Connection,
    /// Reads keys of one group; several keys in several groups are CROSSSLOT.
    Read,
    /// Writes keys of one group; several keys in several groups are CROSSSLOT.
    Write,
    /// Reads keys; may be split over groups: the answers of the parts are merged.
    SplitRead(Merge),
    /// Writes keys; may be split over groups, atomic within each: the answers are merged.
    SplitWrite(Merge),
    /// Reads all groups (DBSIZE, KEYS).
    EveryRead(Merge),
    /// Writes all groups (FLUSHDB, FLUSHALL).
    EveryWrite(Merge),
    /// SCAN: one group at a time, which one is in the cursor.
    Scan,
    /// CHANGES: one group, which its first argument names.
    Changes,
    /// RANDOMKEY: one group after the other from a random one on, until one has a key.
    RandomKey,
    /// WAIT, WAITAOF.
    Wait,
    /// Reads the users, which the first group keeps.
    ReadUsers,
    /// Changes them.
    WriteUsers,
}

/// How the answers of the parts become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Integers are added.
    Sum,
    /// Arrays are interleaved back into the order of the keys asked for (MGET).
    ByKey,
    /// Arrays are joined (KEYS).
    Concat,
    /// All say OK.
    AllOk,
    /// The first that is not null counts (RANDOMKEY).
    FirstFound,
    /// The smallest integer (WAIT).
    Least,
    /// Lines of text, each of which begins with a number, are put in order (CLIENT LIST).
    Lines,
    /// Integers are added; OK if there is something (CLIENT KILL by address).
    Killed,
    /// What engines of one node know of it (INFO).
    Info,
}
