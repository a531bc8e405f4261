"""Runs the five verbs over partitions. Knows no stage by name.

    plan      steps with keys, cut into units (one write at the end of each)
    fold      batches through the steps of a unit: quarantine, drops, accounts
    worker    one task: read parts, do its phase, publish rejects, then the part
    early     how worker processes start: as copies of one, the template, while the recipe is read
    template  what all of them have imported
    pool      their tasks, their progress and their deaths
    warm      kernels compiled before the workers start
    local     the run loop: what is missing, run it, check the sum, commit the manifest
    progress  what a person or a log sees meanwhile

A task is plain data ("module:Class", parameters, names of parts), so another pool can run the same
tasks elsewhere. Only the driver commits manifests.
"""
