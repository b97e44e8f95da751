import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// The number of threads of this process with a name.
func threadCount(_ name: String) -> Int {
    Folder.names(in: "/proc/self/task").count { id in
        guard let file = fopen("/proc/self/task/\(id)/comm", "r") else { return false }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard fgets(&line, 64, file) != nil else { return false }
        return String(
            decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) },
            as: UTF8.self)
            == name
    }
}

/// Files that this process has open.
func openFileCount() -> Int { Folder.names(in: "/proc/self/fd").count }

@Suite("Many followers")
struct FollowersTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    private func open() async throws -> Kappa {
        try await Kappa.open(folder.data.path, views: ViewSet([tally("a")]))
    }

    @Test("two hundred followers need one thread, share one file, and leave nothing open")
    func many() async throws {
        try folder.append(ticks: 20)
        try folder.catchUp([tally("a")])
        let path = folder.data.path
        await #expect(processExitsWith: .success) { [path = path as String] in
            let kappa = try await Kappa.open(path, views: ViewSet([tally("a")]))
            let before = openFileCount()
            var streams: [ChangeStream] = []
            for _ in 0..<200 { streams.append(kappa.changes(of: tally("a"))) }
            for stream in streams {
                for _ in 0..<5 { #expect(try await stream.makeAsyncIterator().next() != nil) }
            }
            #expect(threadCount("kappa-follow") == 1)
            // The catalog and the version, each with its write-ahead log and its shared memory.
            #expect(openFileCount() - before <= 8)
            // Some are dropped unread, some cancelled, some ended by close().
            streams.removeLast(100)
            let cancelled = streams[0]
            let task = Task { try await cancelled.makeAsyncIterator().next() }
            task.cancel()
            #expect(try await task.value == nil)
            let open = streams[1]
            let ended = Task { try await open.makeAsyncIterator().next() }
            await kappa.close()
            #expect(try await ended.value == nil)
            for stream in streams { #expect(try await stream.makeAsyncIterator().next() == nil) }
            try waitFor("no thread is left") { WorkerThread.count == 0 }
            #expect(openFileCount() < before)
        }
    }

    @Test("dropped streams leave no open file and no thread")
    func dropped() async throws {
        try folder.append(ticks: 20)
        try folder.catchUp([tally("a")])
        await #expect(processExitsWith: .success) { [path = folder.data.path as String] in
            let kappa = try await Kappa.open(path, views: ViewSet([tally("a")]))
            try waitFor("it is open") { WorkerThread.count == 0 }
            let before = openFileCount()
            for round in 0..<10 {
                let unread = kappa.changes(of: tally("a"))
                let read = kappa.changes(of: tally("a"))
                if round % 2 == 0 { _ = try await read.makeAsyncIterator().next() }
                withExtendedLifetime((unread, read)) {}
            }
            try waitFor("all is closed") { openFileCount() == before && WorkerThread.count == 0 }
            await kappa.close()
        }
    }

    @Test("a follower that reads nothing delays no other, and is cut off with an error at the end")
    func slow() async throws {
        // More rows than a buffer holds.
        try folder.append(ticks: 5_000, keys: 5_000)
        try folder.catchUp([tally("a")])
        let kappa = try await open()
        let stuck = (0..<10).map { _ in kappa.changes(of: tally("a")) }
        let brisk = kappa.changes(of: tally("a")).makeAsyncIterator()
        for _ in 0..<5_000 { #expect(try await brisk.next()?.operation == .insert) }
        try folder.append([Tick.line("new", 1)])
        try await kappa.catchUp()
        #expect(try await brisk.next()?.key == #"["new"]"#)
        await kappa.close()
        #expect(try await brisk.next() == nil)
        for stream in stuck {
            let reading = stream.makeAsyncIterator()
            var count = 0
            let error = await #expect(throws: KappaError.self) {
                while try await reading.next() != nil { count += 1 }
            }
            #expect(error?.what == "this Kappa is closed, and changes were not read to their end")
            #expect(count > 0 && count <= ChangeBuffer.mostCount)
        }
        let late = kappa.changes(of: tally("a")).makeAsyncIterator()
        let error = await #expect(throws: KappaError.self) { try await late.next() }
        #expect(error?.what == "this Kappa is closed")
    }

    @Test("a stream that is read while it is closed ends after all committed changes")
    func readToTheEnd() async throws {
        try folder.append(ticks: 4_000, keys: 4_000)
        try folder.catchUp([tally("a")])
        await #expect(processExitsWith: .success) { [path = folder.data.path as String] in
            let kappa = try await Kappa.open(path, views: ViewSet([tally("a")]))
            let stream = kappa.changes(of: tally("a"))
            #expect(try await stream.makeAsyncIterator().next() != nil)
            let reading = Task {
                var count = 1
                for try await _ in stream { count += 1 }
                return count
            }
            await kappa.close()
            #expect(try await reading.value == 4_000)
        }
    }

    @Test("an unknown view is an error only in its own stream")
    func unknown() async throws {
        try folder.append(ticks: 5)
        try folder.catchUp([tally("a")])
        let kappa = try await open()
        let good = kappa.changes(of: tally("a")).makeAsyncIterator()
        #expect(try await good.next() != nil)
        let bad = kappa.changes(of: tally("a", named: "nosuch")).makeAsyncIterator()
        let error = await #expect(throws: KappaError.self) { try await bad.next() }
        #expect(error?.code == .notFound)
        #expect(try await good.next() != nil)
        await kappa.close()
    }
}
