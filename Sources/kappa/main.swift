import KappaCore
import Views
import Glibc

func go() throws {
    let args = CommandLine.arguments
    let folder = args[1]
    if args[2] == "append" {
        let w = try LogWriter(folder + "/log")
        for x in w.warnings { print(x) }
        print(try SourceImport(w, source: args.count > 3 ? args[3] : nil).run(0, name: "stdin"))
        return
    }
    let defs = try sampleViews.definitions().filter { args.count <= 3 || args[3...].contains($0.name) }
    mkdir(folder + "/views", 0o755)
    let plan = ExtractionPlan()
    var vms: [VersionMaterializer] = []
    var stores: [VersionStore] = []
    for d in defs {
        let p = folder + "/views/" + d.name + ".db"
        let store = access(p, F_OK) == 0 ? try VersionStore(opening: p) : try VersionStore(creating: p, view: d.name, number: 1, digest: d.digest, tables: d.tables)
        stores.append(store)
        vms.append(try VersionMaterializer(d, store: store, plan: plan, budgetBytes: 1 << 30))
    }
    let scan = try Scan(folder + "/log", vms, plan: plan, options: .init())
    var t0 = timespec(), t1 = timespec()
    clock_gettime(CLOCK_MONOTONIC, &t0)
    try scan.run()
    for s in stores { try s.finish() }
    clock_gettime(CLOCK_MONOTONIC, &t1)
    let s = Double(t1.tv_sec - t0.tv_sec) + Double(t1.tv_nsec - t0.tv_nsec) / 1e9
    print(s, "s", Double(vms[0].offset.rawValue) / s / 1e6, "M/s")
    for v in vms { print(v.view.name, v.checkpoint.counters) }
}
do { try go() } catch { print(error) }
