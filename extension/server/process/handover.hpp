// handover: makes this process the coordinator of a pull that another one may still hold.
#pragma once

#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

/// Asks the coordinator that holds the snapshot of a failed pull, if there is one behind `segment`,
/// to let it go, and takes the pull's lock.  Raises 55006 when somebody else keeps the lock.
void handover_receive(dsm_handle segment, int64 pull_id);

/// When the coordinator behind `segment` took its snapshot; 0: there is none.
TimestampTz handover_snapshot_taken(dsm_handle segment);

/// After a pull of a run was taken up by a coordinator of its own: has the one that held it look.
void handover_tell(dsm_handle segment, int64 coordinator);

} // namespace parallel_loader
