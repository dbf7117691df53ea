<?php

// The page that was never moved: its old shape, as its old readers want it.

declare(strict_types=1);

header('Content-Type: application/json');
echo json_encode(['revenue' => 4711.0, 'orders' => 12]);
