import Glibc

/// A failed system call. This is the one place that turns the system's error numbers into words, for all
/// layers.
package struct IOFailure: Error {
    package let call: String
    package let number: Int32

    package init(_ call: String, _ number: Int32) {
        self.call = call
        self.number = number
    }

    package var reason: String { "\(call): \(Self.text(of: number))" }

    /// The system's words for an error number, such as `No space left on device`.
    package static func text(of number: Int32) -> String { String(cString: strerror(number)) }

    /// The failure as an error that a person reads.
    package func error(_ what: String, at path: String) -> KappaError {
        KappaError(
            Self.code(of: number), what, at: path, because: reason,
            advice: Self.advice(for: number))
    }

    /// The same for a file that a person has named: one that does not exist is `.notFound`.
    package func error(naming what: String, at path: String) -> KappaError {
        var error = error(what, at: path)
        if Self.isAbsence(number) {
            error.code = .notFound
            error.advice = "Check the name and who may read it"
        }
        // A person asks about the name, not about the system call.
        error.reason = Self.text(of: number)
        return error
    }

    /// The same for something that could not be created.
    package func error(creating what: String, at path: String) -> KappaError {
        var error = error("cannot create \(what)", at: path)
        if error.code == .inputOutput { error.code = .cannotCreate }
        error.advice = error.advice ?? "Name another folder with --data, or check the one above it"
        return error
    }

    /// Whether an error number says that nothing exists at a path.
    package static func isAbsence(_ number: Int32) -> Bool { number == ENOENT || number == ENOTDIR }

    package static func code(of number: Int32) -> KappaError.Code {
        number == EACCES || number == EPERM ? .notPermitted : .inputOutput
    }

    package static func advice(for number: Int32) -> String? {
        switch number {
        case ENOSPC: "Free some space on this disk and try again"
        case EDQUOT:
            "Free some of this user's space on this disk, or raise the quota, and try again"
        case EACCES, EPERM: "Check who owns the file and its folder"
        case EROFS: "The file system is read-only: mount it for writing, or choose another folder"
        case EMFILE: "Raise the limit on open files (ulimit -n)"
        case ENFILE: "Raise the system's limit on open files (sysctl fs.file-max)"
        case EIO: "The disk reports errors: check the system's log before you continue"
        case ENOMEM: "Free some memory and try again"
        case EFBIG: "Raise the limit on the size of files (ulimit -f)"
        default: nil
        }
    }

    /// Whether something exists at a path.
    /// - Throws: Where that cannot be determined, as in a folder that may not be read: what cannot be
    ///   seen does not count as absent.
    package static func isThere(_ path: String) throws(KappaError) -> Bool {
        if access(path, F_OK) == 0 { return true }
        let number = errno
        if isAbsence(number) { return false }
        throw IOFailure("access", number).error("cannot look at a file", at: path)
    }
}

extension KappaError {
    /// Whether the operating system refused something, so that another way may work.
    package var isOfSystem: Bool { [.inputOutput, .cannotCreate, .notPermitted].contains(code) }
}
