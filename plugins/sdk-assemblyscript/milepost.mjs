// A transform of the compiler: gives the exports of a plugin the names that the contract has, which cannot be written in AssemblyScript.
// The compiler sets `program` before it calls.
const ENTRY = 1; // SourceKind.UserEntry, which a file of the compiler's own library is, too

export default class {
  afterCompile(module) {
    const isEntry = (source) => source.sourceKind === ENTRY && !source.internalPath.startsWith('~lib/');
    const entry = this.program.sources.find(isEntry);
    const sdk = entry.internalPath.replace(/[^/]*$/, 'milepost');
    const rename = (file, name, to) => {
      module.removeExport(name);
      module.addFunctionExport(`${file}/${name}`, to);
    };
    rename(entry.internalPath, 'describe', 'milepost:step/guest@0.1.0#describe');
    rename(entry.internalPath, 'run', 'milepost:step/guest@0.1.0#run');
    rename(sdk, 'done', 'cabi_post_milepost:step/guest@0.1.0#run');
  }
}
