import Glibc
import KappaCore
import Synchronization

/// Measures appends to a new log.
struct AppendBench {
    private let input: BenchInput
    private let folder: DataFolder

    init(_ input: BenchInput) throws {
        self.input = input
        folder = DataFolder(input.folder.path + "-append-\(getpid())")
        Folder.remove(folder.path)
    }

    /// Appends all events from a pipe.
    func fromPipe() throws -> Figures {
        defer { Folder.remove(folder.path) }
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw KappaError(.inputOutput, "cannot open a pipe") }
        let (reading, writing) = (ends[0], ends[1])
        let path = input.ndjson
        let feeder = try WorkerThread("bench-feed") {
            let file = open(path, O_RDONLY)
            var chunk = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                let count = read(file, &chunk, chunk.count)
                if count <= 0 || write(writing, chunk, count) < count { break }
            }
            close(file)
            close(writing)
        }
        let writer = try LogWriter(folder.log)
        var status = stat()
        let bytes = stat(path, &status) == 0 ? Int(status.st_size) : 0
        let figures = try Figures.of(events: input.events, bytes: bytes) {
            var source = try SourceImport(writer, source: "pipe")
            try source.run(reading, name: "the pipe")
            try source.finish()
            return 0
        }
        feeder.join()
        close(reading)
        return figures
    }

    /// Appends single events from many threads at once. Each thread waits until its event is durable.
    func singles(writers: Int) throws -> Figures {
        defer { Folder.remove(folder.path) }
        let writer = try LogWriter(folder.log)
        let line = try EventLines(
            event: #"{"user_id":"user_1","action":"view","amount":1.5,"event_id":1}"#)
        let seconds = 3.0
        let done = Mutex(0)
        var figures = try Figures.of(events: 0) {
            let end = Figures.clock() + seconds
            let threads = try (0..<writers).map { _ in
                try WorkerThread("bench-append") {
                    var count = 0
                    while Figures.clock() < end, (try? writer.append(line)) != nil { count += 1 }
                    let appended = count
                    done.withLock { $0 += appended }
                }
            }
            for thread in threads { thread.join() }
            return 0
        }
        figures.events = done.withLock { $0 }
        return figures
    }
}
