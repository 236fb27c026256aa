/// Why a command was refused. Nothing has been changed then.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No MDM server has that name.
    #[error("there is no MDM server {0:?}: `GET /_control/state` lists them, `add_server` makes one")]
    UnknownServer(String),
    /// Several MDM servers and none named.
    #[error("there are several MDM servers: say which one with `server`")]
    WhichServer,
    /// An MDM server has that name.
    #[error("there is an MDM server {0:?} already: choose another `name`")]
    ServerTaken(String),
    /// Not a name.
    #[error(
        "{0:?} is no name for an MDM server: give 1 to 100 characters, and not \"Unassigned\" or \"Reassigned\""
    )]
    ServerName(String),
    /// Too many MDM servers.
    #[error("the simulator keeps at most 60000 MDM servers")]
    TooManyServers,
    /// Not a serial number that the simulator keeps.
    #[error(
        "{0:?} is no serial number for the simulator: give 1 to 23 letters, digits, dashes, dots or underscores"
    )]
    Serial(String),
    /// A device has that serial number.
    #[error("a device {0:?} is there already: remove it first, or use `move_devices`")]
    SerialTaken(String),
    /// No device has that serial number.
    #[error("there is no device {serial:?} at {at}: `GET /_control/devices` lists them")]
    UnknownSerial {
        /// The serial number.
        serial: String,
        /// Where it was looked for.
        at: String,
    },
    /// The catalogue has no such device.
    #[error(
        "no device of family {family:?} and model {model:?} can be made: the families are Mac, iPhone, iPad, iPod, AppleTV, Vision"
    )]
    NoSuchModel {
        /// The family that was asked for.
        family: String,
        /// The model that was asked for.
        model: String,
    },
    /// No device was chosen.
    #[error("the command chooses no device: give `serials`, `count` or `all = true`")]
    NoChoice,
    /// Wrong arguments.
    #[error("`{action}` was refused: {text}")]
    Arguments {
        /// The command.
        action: String,
        /// What is wrong and what is right.
        text: String,
    },
}
