#pragma once
#include "tomograph/maps/projection.h"
#include "tomograph/serve/columns.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Run `b` on a PCA projection of run `a`, [n] in the projection's order. `rows`: those that the projection
/// was made of. A row's counterpart is the same site of the token that has read the same text (align_tokens),
/// an average's the one of the same site, sequence and position; where the runs' texts cannot be laid over
/// each other, a token's is of the same sequence and position, and a note says so. NaN where there is none.
///
/// Columns axis0, axis1, ... (f32): where the counterpart lies; displacement (f32): how far it is from the
/// row in the full space, both as the projection normalises. In the header n_matched, notes, and sites:
/// [{"component", "layer", "movement", "length", "rows"}, ...], farthest first: root mean square displacement
/// over that of the first run's rows, and the latter; first positions left out. Errors: Error when the
/// projection has no basis, the second run lacks its sites or no row has a counterpart.
ColumnSet comparison_columns(const Run& a, const Projection& projection, const SelectedRows& rows,
                             const Run& b);

}  // namespace tomograph
