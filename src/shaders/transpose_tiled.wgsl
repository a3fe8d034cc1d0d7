// Transposes [batch, rows, columns] to [batch, columns, rows] by way of a 16x16 tile in workgroup memory, so that both
// reads and writes run along memory. A 17th column keeps the transposed reads off one memory bank.
struct Uniforms { rows: u32, columns: u32, rowTiles: u32, columnTiles: u32, tiles: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

var<workgroup> tile: array<u32, 272>;

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_id) local: vec3u) {
  let index = group.y * groups.x + group.x;
  if (index >= u.tiles) { return; }
  let strip = index / u.columnTiles;
  let columnTile = index - strip * u.columnTiles;
  let batch = strip / u.rowTiles;
  let rowTile = strip - batch * u.rowTiles;
  let start = batch * u.rows * u.columns;
  let row = rowTile * 16u + local.y;
  let column = columnTile * 16u + local.x;
  if ((row < u.rows) & (column < u.columns)) {
    tile[local.y * 17u + local.x] = x[start + row * u.columns + column];
  }
  workgroupBarrier();
  let toRow = columnTile * 16u + local.y;
  let toColumn = rowTile * 16u + local.x;
  if ((toRow < u.columns) & (toColumn < u.rows)) {
    y[start + toRow * u.rows + toColumn] = tile[local.x * 17u + local.y];
  }
}
